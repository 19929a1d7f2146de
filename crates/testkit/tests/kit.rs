//! The kit itself: registries answer as they promise, and the oracle runs where it is installed.

use anyhow::Result;
use onggi_testkit::{
    Behaviour, Daemon, DaemonOptions, Entry, Hostile, Image, Layer, Namespace, Registry, Request,
    Subject,
};
use serde_json::json;
use std::net::TcpStream;
use std::path::Path;

fn small() -> Result<Image> {
    let file = Entry::File("hello".into(), 0o644, b"hello".repeat(100));
    Ok(Image::new(vec![Layer::new(&[file])?]))
}

#[test]
fn what_is_pushed_can_be_fetched() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = Registry::start(&namespace, 5000)?;
    let digest = registry.push(&small()?, "library/small", "latest")?;
    let request = Request::new("GET", "/v2/library/small/manifests/latest").header(
        "Accept",
        "application/vnd.docker.distribution.manifest.v2+json",
    );
    let answer = registry.send(&request)?.ok()?;
    assert_eq!(
        answer.header("docker-content-digest"),
        Some(digest.as_str())
    );
    drop(registry);
    assert!(namespace.processes()?.is_empty());
    Ok(())
}

#[test]
fn hostile_registries_do_what_they_are_asked_for() -> Result<()> {
    let namespace = Namespace::new()?;
    let image = small()?;
    let blobs = image.distribution()?.blobs;
    let ask = |behaviour, path: &str, header: Option<(&'static str, &str)>| {
        let server = Hostile::start(&namespace, &image, behaviour)?;
        let mut request = Request::new("GET", path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.send(namespace.run(|| TcpStream::connect(server.address()))??)
    };
    let blob = format!("/v2/x/blobs/{}", blobs[1].0);
    assert_eq!(ask(Behaviour::Honest, &blob, None)?.body, blobs[1].1);
    assert!(ask(Behaviour::TruncatedBlob, &blob, None).is_err());
    assert_ne!(ask(Behaviour::WrongDigest, &blob, None)?.body, blobs[1].1);
    let resumed = ask(Behaviour::ResumableBlob, &blob, Some(("Range", "bytes=3-")))?;
    assert_eq!(
        (resumed.status, resumed.body.as_slice()),
        (206, &blobs[1].1[3..])
    );
    assert_eq!(ask(Behaviour::Failing(1), &blob, None)?.status, 500);
    let guarded = || Behaviour::Token {
        user: "user".into(),
        password: "pass".into(),
    };
    assert_eq!(ask(guarded(), &blob, None)?.status, 401);
    let token = ask(
        guarded(),
        "/token",
        Some(("Authorization", "Basic dXNlcjpwYXNz")),
    )?
    .ok()?
    .json()?;
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap_or_default());
    assert_eq!(
        ask(guarded(), &blob, Some(("Authorization", &bearer)))?.status,
        200
    );
    Ok(())
}

/// The oracle: Docker's daemon runs a container in the harness and leaves nothing.
#[test]
fn dockerd_runs_in_the_harness() -> Result<()> {
    if !Path::new("/usr/sbin/dockerd").exists() {
        return Ok(());
    }
    let options = DaemonOptions {
        subject: Some(Subject::Dockerd),
        ..DaemonOptions::default()
    };
    let client_is_ours = std::env::var_os("ONGGI_CLIENT").is_none();
    // No client is needed here, so none has to be built.
    let options = DaemonOptions {
        binaries: client_is_ours.then(|| onggi_testkit::Binaries::at("/nonexistent")),
        ..options
    };
    let daemon = Daemon::start_with(options)?;
    daemon.load_busybox()?;
    let id = daemon.run_container(&json!({"Image": "busybox", "Cmd": ["sh", "-c", "exit 42"]}))?;
    let ended = daemon
        .post(&format!("/containers/{id}/wait"), &json!(null))?
        .ok()?
        .json()?;
    assert_eq!(ended["StatusCode"], 42);
    daemon.clean()
}
