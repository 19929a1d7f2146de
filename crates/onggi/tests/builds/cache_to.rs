//! What one builder knows, another takes up: `--cache-to` and `--cache-from`.

use super::scene::{Build, Built, text};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Binaries, Daemon, DaemonOptions, Namespace, OnggiRegistry, Request};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILE: &str = "FROM busybox AS make\nWORKDIR /src\nCOPY a.txt .\nRUN head -c 100000 /dev/urandom > big && cp a.txt /out\nFROM busybox\nCOPY --from=make /out /out\nRUN head -c 1000 /dev/urandom > /done\nCMD [\"sh\"]\n";
/// The steps of the first stage.
const MAKE: [&str; 3] = [
    "WORKDIR /src",
    "COPY a.txt .",
    "RUN head -c 100000 /dev/urandom > big && cp a.txt /out",
];

fn build(file: &str) -> Build {
    Build::of(file).file("a.txt", "a")
}

fn with(flag: &str, text: &str) -> Build {
    build(FILE).set(flag, &json!([text]).to_string())
}

fn daemon(namespace: &Namespace) -> Result<Daemon> {
    let daemon = Daemon::start_with(DaemonOptions {
        namespace: Some(namespace.try_clone()?),
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    Ok(daemon)
}

/// What a registry says under a name: the manifest, and the configuration it names.
fn documents(registry: &OnggiRegistry<'_>, name: &str, tag: &str) -> Result<(Value, Value)> {
    let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
    let path = format!("/v2/{name}/manifests/{tag}");
    let manifest = registry.send(&Request::new("GET", &path).header("Accept", accept))?;
    let manifest = manifest.ok()?.json()?;
    let config = manifest["config"]["digest"].as_str().context("a config")?;
    let path = format!("/v2/{name}/blobs/{config}");
    let config = registry.send(&Request::new("GET", &path))?.ok()?.json()?;
    Ok((manifest, config))
}

/// The blob of the step of this text.
fn blob_of(config: &Value, text: &str) -> Result<String> {
    let empty = Vec::new();
    let steps = config["steps"].as_array().unwrap_or(&empty);
    let is_it = |step: &&Value| {
        step["description"]
            .as_str()
            .is_some_and(|it| it.ends_with(text))
    };
    let step = steps
        .iter()
        .find(is_it)
        .with_context(|| format!("{text}: {config}"))?;
    let layers = config["layers"].as_array().unwrap_or(&empty);
    let layer = layers.iter().find(|layer| layer["chain"] == step["layer"]);
    let blob = layer.and_then(|layer| layer["blob"].as_str());
    Ok(blob.context("a blob")?.to_owned())
}

/// How often a blob was fetched.
fn fetched(registry: &OnggiRegistry<'_>, blob: &str) -> Result<usize> {
    let log = std::fs::read_to_string(registry.path("access.log"))?;
    let is_it = |line: &&str| line.contains("GET ") && line.contains(blob);
    Ok(log.lines().filter(is_it).count())
}

fn known(built: &Built) -> Result<()> {
    ensure!(
        built.error.is_none() && built.done().is_empty(),
        "{built:?}"
    );
    Ok(())
}

#[test]
fn a_registry_carries_all_steps_or_those_of_the_image() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let place = |tag: &str| format!("type=registry,ref={}/c:{tag}", registry.address());
    let mut first = daemon(&namespace)?;
    let to = json!([place("max") + ",mode=max", place("min")]).to_string();
    let id = build(FILE).set("cacheto", &to).image(&first)?;
    // What is there is not sent again, and not by another name.
    let before = documents(&registry, "c", "max")?;
    let again = build(FILE).set("cacheto", &to).send(&first)?;
    known(&again)?;
    ensure!(documents(&registry, "c", "max")? == before);
    for (tag, compression, kind) in [
        ("z", "zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
        (
            "u",
            "uncompressed",
            "application/vnd.docker.image.rootfs.diff.tar",
        ),
    ] {
        let oci = compression == "zstd";
        let option = format!(
            "{},mode=max,compression={compression},oci-mediatypes={oci}",
            place(tag)
        );
        with("cacheto", &option).image(&first)?;
        let (manifest, _) = documents(&registry, "c", tag)?;
        let layers = manifest["layers"].as_array().context("layers")?;
        ensure!(
            layers.len() == 5 && layers.iter().all(|layer| layer["mediaType"] == kind),
            "{manifest}"
        );
    }
    first.stop()?;

    // All is known, and only what the image has is fetched.
    let big = blob_of(&before.1, MAKE[2])?;
    // One at a time has the namespace; with the last of them it goes.
    let mut ended = vec![first];
    for tag in ["max", "z", "u"] {
        let mut second = daemon(&namespace)?;
        let built = with("cachefrom", &place(tag)).send(&second)?;
        known(&built)?;
        ensure!(built.id.as_ref() == Some(&id), "{tag}: {built:?}");
        second.cli(&["system", "check"])?.ok()?;
        // What was fetched is known from now on.
        let target = build(FILE).send(&second)?;
        ensure!(target.done() == MAKE, "{tag}: {target:?}");
        second.stop()?;
        ended.push(second);
    }
    ensure!(
        fetched(&registry, &big)? == 0,
        "a layer nobody needs was fetched"
    );

    // What is done anew is done on what others left.
    let mut second = daemon(&namespace)?;
    let changed = FILE.replace("cp a.txt", "cat a.txt a.txt >");
    let built = build(&changed)
        .set("cachefrom", &json!([place("max")]).to_string())
        .send(&second)?;
    let done = built.done();
    ensure!(
        done.len() == 3 && done[0].starts_with("RUN head -c 100000"),
        "{built:?}"
    );
    let id = built.id.context("an image")?;
    ensure!(text(&second, &id, "out")? == "aa");
    second.cli(&["system", "check"])?.ok()?;

    second.stop()?;

    // The steps of the image alone: its first stage is not among them.
    let third = daemon(&namespace)?;
    let built = with("cachefrom", &place("min")).send(&third)?;
    ensure!(built.error.is_none() && built.done() == MAKE, "{built:?}");
    let (_, config) = documents(&registry, "c", "min")?;
    ensure!(blob_of(&config, MAKE[2]).is_err(), "{config}");
    Ok(())
}

/// The file of a blob in a registry.
fn file_of(place: &Path, blob: &str) -> Result<PathBuf> {
    let hex = blob.trim_start_matches("sha256:");
    let mut open = vec![place.to_path_buf()];
    let mut found = None;
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => open.push(entry.path()),
                false if entry.file_name() == hex => found = Some(entry.path()),
                false => {}
            }
        }
    }
    found.with_context(|| format!("no file of {blob}"))
}

#[test]
fn a_cache_that_is_spoiled_is_no_cache() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let place = format!("type=registry,ref={}/c:max,mode=max", registry.address());
    let from = format!("type=registry,ref={}/c:max", registry.address());
    let mut first = daemon(&namespace)?;
    with("cacheto", &place).image(&first)?;
    first.stop()?;
    let (manifest, config) = documents(&registry, "c", "max")?;
    let spoiled = [
        blob_of(&config, "COPY --from=make /out /out")?,
        manifest["config"]["digest"]
            .as_str()
            .context("a config")?
            .to_owned(),
    ];
    let mut ended = vec![first];
    for blob in spoiled {
        let file = file_of(&registry.path("data"), &blob)?;
        let mut bytes = std::fs::read(&file)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes)?;
        let mut second = daemon(&namespace)?;
        let built = with("cachefrom", &from).send(&second)?;
        ensure!(built.error.is_none(), "{built:?}");
        ensure!(built.text.contains("[Warning] "), "{}", built.text);
        ensure!(built.text.contains(" is no cache: "), "{}", built.text);
        let id = built.id.context("an image")?;
        ensure!(text(&second, &id, "out")? == "a");
        second.cli(&["system", "check"])?.ok()?;
        second.stop()?;
        ended.push(second);
    }
    Ok(())
}

#[test]
fn a_registry_that_is_away_stops_no_build_but_the_export() -> Result<()> {
    let namespace = Namespace::new()?;
    let mut registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let place = format!("type=registry,ref={}/c:max", registry.address());
    let daemon = daemon(&namespace)?;
    let missing = with("cachefrom", &place).send(&daemon)?;
    ensure!(missing.error.is_none(), "{missing:?}");
    ensure!(
        missing.text.contains("/c:max is no cache: "),
        "{}",
        missing.text
    );
    registry.kill()?;
    let built = with("cachefrom", &place).send(&daemon)?;
    ensure!(
        built.error.is_none() && built.text.contains("[Warning] "),
        "{built:?}"
    );
    let failed = with("cacheto", &place).send(&daemon)?;
    let error = failed.error.context("an error")?;
    ensure!(
        error.starts_with("error exporting cache to 127.0.0.1:5000/c:max: "),
        "{error}"
    );
    let ignored = with("cacheto", &format!("{place},ignore-error=true")).send(&daemon)?;
    ensure!(
        ignored.error.is_none() && ignored.id.is_some(),
        "{ignored:?}"
    );
    ensure!(
        ignored.text.contains("[Warning] error exporting cache"),
        "{}",
        ignored.text
    );
    for (flag, text, why) in [
        (
            "cacheto",
            "type=gha",
            "type=gha is not supported: type=registry,ref=NAME",
        ),
        ("cacheto", "type=s3,bucket=b", "type=s3 is not supported"),
        (
            "cachefrom",
            "type=azblob,name=a",
            "type=azblob is not supported",
        ),
        ("cachefrom", "type=registry", "ref is missing"),
    ] {
        let refused = with(flag, text).send(&daemon)?;
        let error = refused.error.with_context(|| text.to_owned())?;
        ensure!(error.contains(why), "{error}");
    }
    Ok(())
}

/// As headers have it.
fn base64(text: &str) -> Result<String> {
    let script = "printf %s \"$0\" | base64 -w 0 | tr +/ -_";
    let output = Command::new("sh").args(["-c", script, text]).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_registry_that_asks_who_is_there_is_told() -> Result<()> {
    let namespace = Namespace::new()?;
    let users = tempfile::NamedTempFile::new()?;
    let made = Command::new(Binaries::built("onggi-registry")?)
        .args(["htpasswd", "me"])
        .stdin(Stdio::piped())
        .stdout(Stdio::from(users.reopen()?))
        .spawn()
        .and_then(|mut child| {
            use std::io::Write as _;
            if let Some(mut input) = child.stdin.take() {
                input.write_all(b"secret\n")?;
            }
            child.wait()
        })?;
    ensure!(made.success());
    let keys = json!({"auth": {"htpasswd": users.path()}});
    let registry = OnggiRegistry::start(&namespace, 5000, &keys)?;
    let place = format!("type=registry,ref={}/c:max", registry.address());
    let send = |flag: &str, password: &str, daemon: &Daemon| -> Result<String> {
        let build = with(flag, &place);
        let login = json!({registry.address(): {"username": "me", "password": password}});
        let login = base64(&login.to_string())?;
        let path = build.path();
        let request = Request::new("POST", &path)
            .header("X-Registry-Config", login)
            .body("application/x-tar", build.body()?);
        Ok(daemon.send(&request)?.text())
    };
    let mut first = daemon(&namespace)?;
    let refused = send("cacheto", "wrong", &first)?;
    ensure!(refused.contains("error exporting cache to"), "{refused}");
    let sent = send("cacheto", "secret", &first)?;
    ensure!(!sent.contains("errorDetail"), "{sent}");
    ensure!(
        sent.contains("wrote cache 127.0.0.1:5000/c:max@sha256:"),
        "{sent}"
    );
    first.stop()?;
    let mut second = daemon(&namespace)?;
    let refused = send("cachefrom", "wrong", &second)?;
    ensure!(refused.contains("is no cache"), "{refused}");
    ensure!(refused.contains("Successfully built"), "{refused}");
    second.stop()?;
    let third = daemon(&namespace)?;
    let taken = send("cachefrom", "secret", &third)?;
    ensure!(taken.contains("Using cache"), "{taken}");
    ensure!(!taken.contains("secret"), "{taken}");
    Ok(())
}
