//! TLS to a registry that is not this machine by its name: this program runs itself in a mount namespace
//! whose `/etc/hosts` knows such a name.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it was skipped"
)]

mod support;

use std::path::Path;
use std::process::Command;

use onggi_model::{ImageRef, chain};
use onggi_registry::{Auth, Client, Config};
use support::DockerRegistry;

const NAME: &str = "registry.onggi.test";

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn certificates_are_checked() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let subject = format!("/CN={NAME}");
    openssl(
        at,
        &[
            &["req", "-x509"],
            &key[..],
            &["-subj", "/CN=onggi test", "-days", "2"],
            &["-keyout", "ca.key", "-out", "ca.crt"],
        ]
        .concat(),
    );
    openssl(
        at,
        &[
            &["req", "-new"],
            &key[..],
            &["-subj", &subject, "-keyout", "own.key", "-out", "own.csr"],
        ]
        .concat(),
    );
    std::fs::write(at.join("names"), format!("subjectAltName=DNS:{NAME}\n")).unwrap();
    openssl(
        at,
        &[
            "x509",
            "-req",
            "-in",
            "own.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "own.crt",
        ],
    );
    std::fs::write(
        at.join("hosts"),
        format!("127.0.0.1 localhost {NAME} other.onggi.test\n"),
    )
    .unwrap();
    let tls = format!(
        "  tls:\n    certificate: {0}/own.crt\n    key: {0}/own.key\n",
        at.display()
    );
    // As everybody's first registry: a certificate that is its own authority.
    let own = format!("subjectAltName=DNS:{NAME}");
    openssl(
        at,
        &[
            &["req", "-x509"],
            &key[..],
            &["-subj", &subject, "-addext", &own, "-days", "2"],
            &["-keyout", "self.key", "-out", "self.crt"],
        ]
        .concat(),
    );
    let alone = format!(
        "  tls:\n    certificate: {0}/self.crt\n    key: {0}/self.key\n",
        at.display()
    );
    // Another one lets in only those it knows.
    let strict = format!("{tls}    clientcas:\n      - {}/ca.crt\n", at.display());
    let (Some(registry), Some(strict), Some(alone)) = (
        DockerRegistry::start_with(&tls),
        DockerRegistry::start_with(&strict),
        DockerRegistry::start_with(&alone),
    ) else {
        eprintln!("skipped: docker-registry is not installed");
        return;
    };
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg("mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"")
        .arg("sh")
        .arg(at.join("hosts"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "with_a_name", "--ignored", "--nocapture"])
        .env("ONGGI_TLS_FOLDER", at)
        .env("ONGGI_TLS_PORT", registry.port.to_string())
        .env("ONGGI_TLS_STRICT_PORT", strict.port.to_string())
        .env("ONGGI_TLS_ALONE_PORT", alone.port.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
#[ignore = "run by certificates_are_checked with a name of its own"]
async fn with_a_name() {
    let folder = std::env::var("ONGGI_TLS_FOLDER").unwrap();
    let host = format!("{NAME}:{}", std::env::var("ONGGI_TLS_PORT").unwrap());
    let outcome = async |config: Config, host: &str| {
        let reference = ImageRef::parse(&format!("{host}/nothing")).unwrap();
        let client = Client::new(config).unwrap();
        chain(
            &client
                .resolve(&reference, &Auth::anonymous())
                .await
                .unwrap_err(),
        )
    };
    assert_eq!(
        outcome(Config::default(), &host).await,
        format!(
            "Get \"https://{host}/v2/\": tls: failed to verify certificate: \
             x509: certificate signed by unknown authority"
        )
    );
    let found =
        format!("manifest for {host}/nothing:latest not found: manifest unknown: manifest unknown");
    // Vouched for by a file, as in /etc/docker/certs.d.
    let own = Path::new(&folder).join("certs.d").join(&host);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::copy(Path::new(&folder).join("ca.crt"), own.join("ca.crt")).unwrap();
    let certificates = vec![
        Path::new(&folder).join("none"),
        Path::new(&folder).join("certs.d"),
    ];
    assert_eq!(
        outcome(
            Config {
                certificates,
                ..Config::default()
            },
            &host
        )
        .await,
        found
    );
    // A registry that asks who we are: nobody, at first.
    let strict = format!("{NAME}:{}", std::env::var("ONGGI_TLS_STRICT_PORT").unwrap());
    let own = Path::new(&folder).join("certs.d").join(&strict);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::copy(Path::new(&folder).join("ca.crt"), own.join("ca.crt")).unwrap();
    let known = || Config {
        certificates: vec![Path::new(&folder).join("certs.d")],
        attempts: 1,
        ..Config::default()
    };
    let client = Client::new(known()).unwrap();
    let ask = async || {
        let reference = ImageRef::parse(&format!("{strict}/nothing")).unwrap();
        let refused = client.resolve(&reference, &Auth::anonymous()).await;
        chain(&refused.unwrap_err())
    };
    let nobody = ask().await;
    assert!(!nobody.contains("manifest unknown"), "{nobody}");
    // Files that come later are taken up by the same client.
    std::fs::copy(Path::new(&folder).join("own.crt"), own.join("client.cert")).unwrap();
    std::fs::copy(Path::new(&folder).join("own.key"), own.join("client.key")).unwrap();
    let somebody = ask().await;
    assert!(
        somebody.ends_with("not found: manifest unknown: manifest unknown"),
        "{somebody}"
    );
    // One that vouches for itself, where it was put there for this registry, and only by its name.
    let port = std::env::var("ONGGI_TLS_ALONE_PORT").unwrap();
    let unknown = "x509: certificate signed by unknown authority";
    let alone = format!("{NAME}:{port}");
    let refused = outcome(known(), &alone).await;
    assert!(refused.ends_with(unknown), "{refused}");
    for host in [&alone, &format!("other.onggi.test:{port}")] {
        let own = Path::new(&folder).join("certs.d").join(host);
        std::fs::create_dir_all(&own).unwrap();
        std::fs::copy(Path::new(&folder).join("self.crt"), own.join("ca.crt")).unwrap();
    }
    let taken = outcome(known(), &alone).await;
    assert!(
        taken.ends_with("manifest unknown: manifest unknown"),
        "{taken}"
    );
    let other = outcome(known(), &format!("other.onggi.test:{port}")).await;
    assert!(other.contains("x509: certificate is not valid"), "{other}");
    // Or not vouched for, because somebody said so.
    let insecure = vec![NAME.to_owned()];
    assert_eq!(
        outcome(
            Config {
                insecure,
                ..Config::default()
            },
            &host
        )
        .await,
        found
    );
    // This machine by its own name never is.
    let local = host.replace(NAME, "localhost");
    assert!(
        outcome(Config::default(), &local)
            .await
            .starts_with("manifest for localhost:")
    );
}
