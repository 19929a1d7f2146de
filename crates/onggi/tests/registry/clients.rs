//! Clients people have: skopeo and our daemon, over TLS, with passwords and tokens.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Image, Namespace, OnggiRegistry, Request, Subject};
use serde_json::{Value, json};
use std::path::Path;

use crate::{Answers, done, expect, installed, run};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A certificate for 127.0.0.1, its key, and a folder as clients have it.
fn certificate(namespace: &Namespace, folder: &Path) -> Result<()> {
    let (key, certificate) = (folder.join("key.pem"), folder.join("ca.crt"));
    let arguments = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=registry",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        &text(&key),
        "-out",
        &text(&certificate),
    ];
    done(namespace, "openssl", &arguments)?;
    std::fs::create_dir(folder.join("certs"))?;
    std::fs::copy(certificate, folder.join("certs/ca.crt"))?;
    Ok(())
}

fn users(namespace: &Namespace, folder: &Path) -> Result<()> {
    let program = text(&onggi_testkit::Binaries::built("onggi-registry")?);
    let line = done(
        namespace,
        "sh",
        &["-c", "echo secret | \"$0\" htpasswd me", &program],
    )?;
    Ok(std::fs::write(folder.join("htpasswd"), line)?)
}

fn layout(image: &Image, folder: &Path) -> Result<String> {
    let tar = folder.join("image.tar");
    std::fs::write(&tar, image.save(&["img:v1"])?)?;
    Ok(format!("docker-archive:{}", tar.display()))
}

#[test]
fn skopeo_to_and_fro_with_tls_and_password() -> Result<()> {
    if !installed("skopeo") || !installed("openssl") {
        return Ok(());
    }
    let namespace = Namespace::new()?;
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    certificate(&namespace, at)?;
    users(&namespace, at)?;
    let tls = json!({"certificate": at.join("ca.crt"), "key": at.join("key.pem")});
    let image = Image::busybox()?;
    let archive = layout(&image, at)?;
    for (port, token) in [(5000, Value::Null), (5001, json!({}))] {
        let mut auth = json!({"htpasswd": at.join("htpasswd")});
        if !token.is_null() {
            auth["token"] = token;
        }
        let registry = OnggiRegistry::start(&namespace, port, &json!({"tls": tls, "auth": auth}))?;
        let remote = |name: &str| format!("docker://{}/{name}", registry.address());
        let certs = text(&at.join("certs"));
        let policy = ["--insecure-policy"];
        let copy = |extra: &[&str], from: &str, to: &str| {
            let arguments = [&policy[..], &["copy", "-q"], extra, &[from, to]].concat();
            run(&namespace, "skopeo", &arguments)
        };
        let one = remote("team/app:v1");
        let good = ["--dest-creds", "me:secret", "--dest-cert-dir", &certs];
        let pushed = copy(&good, &archive, &one)?;
        ensure!(
            pushed.status.success(),
            "{}{}",
            String::from_utf8_lossy(&pushed.stderr),
            registry.log()
        );
        // Wrong password, no password, an authority nobody knows.
        for (extra, part) in [
            (
                &[
                    "--dest-creds",
                    "me:wrong",
                    "--dest-cert-dir",
                    certs.as_str(),
                ][..],
                "unauthorized",
            ),
            (&["--dest-cert-dir", &certs], "unauthorized"),
            (&["--dest-creds", "me:secret"], "certificate"),
        ] {
            let output = copy(extra, &archive, &one)?;
            let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
            ensure!(
                !output.status.success() && said.contains(part),
                "{extra:?}: {said}"
            );
        }
        let reading = ["--creds", "me:secret", "--cert-dir", &certs];
        let raw = |reference: &str| -> Result<String> {
            done(
                &namespace,
                "skopeo",
                &[&["inspect", "--raw"], &reading[..], &[reference]].concat(),
            )
        };
        let manifest = raw(&one)?;
        // From one repository to another, to a layout, and back: the same manifest each time.
        let both = [
            "--src-creds",
            "me:secret",
            "--src-cert-dir",
            &certs,
            "--dest-creds",
            "me:secret",
            "--dest-cert-dir",
            &certs,
        ];
        let two = remote("other/app:v1");
        let copied = copy(&both, &one, &two)?;
        ensure!(
            copied.status.success(),
            "{}",
            String::from_utf8_lossy(&copied.stderr)
        );
        ensure!(raw(&two)? == manifest);
        let local = format!("dir:{}", at.join(format!("dir{port}")).display());
        let pulled = copy(&both[..4], &two, &local)?;
        ensure!(
            pulled.status.success(),
            "{}",
            String::from_utf8_lossy(&pulled.stderr)
        );
        let three = remote("third:v1");
        ensure!(copy(&good, &local, &three)?.status.success());
        ensure!(raw(&three)? == manifest);
        let listed = done(
            &namespace,
            "skopeo",
            &[&["list-tags"], &reading[..], &[&remote("third")]].concat(),
        )?;
        ensure!(listed.contains("\"v1\""), "{listed}");
        let deleted = run(
            &namespace,
            "skopeo",
            &[&["delete"], &reading[..], &[&three]].concat(),
        )?;
        ensure!(
            deleted.status.success(),
            "{}",
            String::from_utf8_lossy(&deleted.stderr)
        );
        ensure!(raw(&three).is_err());
    }
    Ok(())
}

/// Our daemon pulls over TLS with a password, by Basic and by token; a wrong one is refused.
#[test]
fn the_daemon_pulls_with_tls_and_password() -> Result<()> {
    if !installed("openssl") || Subject::from_env()? != Subject::Onggi {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let namespace = daemon.namespace();
    certificate(namespace, at)?;
    users(namespace, at)?;
    let tls = json!({"certificate": at.join("ca.crt"), "key": at.join("key.pem")});
    let image = Image::busybox()?;
    for (port, token) in [(5000, false), (5001, true)] {
        // Pushed while nobody is asked, on the same storage.
        let mut registry = OnggiRegistry::start(namespace, port, &json!({}))?;
        let distribution = image.distribution()?;
        for (_, data) in &distribution.blobs {
            registry.blob("app", data)?;
        }
        let manifest = distribution.manifest;
        let kind = serde_json::from_slice::<Value>(&manifest)?["mediaType"]
            .as_str()
            .context("mediaType")?
            .to_owned();
        expect(&registry.put("app", "v1", &kind, &manifest)?, 201)?;
        ensure!(registry.stop()? == 0);
        let mut auth = json!({"htpasswd": at.join("htpasswd")});
        if token {
            auth["token"] = json!({});
        }
        registry.configure(&json!({"tls": tls, "auth": auth}))?;
        registry.run()?;
        let pull = |header: &str| {
            let path = format!("/images/create?fromImage={}/app&tag=v1", registry.address());
            daemon.send(&Request::new("POST", &path).header("X-Registry-Auth", header))
        };
        // {"username":"me","password":"secret"} and "wrong".
        let wrong = pull("eyJ1c2VybmFtZSI6Im1lIiwicGFzc3dvcmQiOiJ3cm9uZyJ9")?;
        ensure!(
            wrong.status != 200 || wrong.text().contains("errorDetail"),
            "{}",
            wrong.text()
        );
        let good = pull("eyJ1c2VybmFtZSI6Im1lIiwicGFzc3dvcmQiOiJzZWNyZXQifQ==")?;
        ensure!(
            good.status == 200 && !good.text().contains("errorDetail"),
            "{}",
            good.text()
        );
        expect(
            &daemon.get(&format!("/images/{}/app:v1/json", registry.address()))?,
            200,
        )?;
    }
    Ok(())
}
