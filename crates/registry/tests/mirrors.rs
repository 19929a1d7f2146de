//! Mirrors that want a login: each gets what its own file says, and never what is for the registry it stands in for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use onggi_model::{ImageRef, chain};
use onggi_oci::image::Parsed;
use onggi_registry::{Auth, Client, Config, Mirror, Rule, Verify};
use support::{Content, Reply, Server, noise, tar_of};

/// `me:mine`
const OURS: &str = "Basic bWU6bWluZQ==";
/// `up:stream`
const UPSTREAM: &str = "Basic dXA6c3RyZWFt";

/// A registry with `app:latest` that lets nobody else in.
fn guarded(allowed: &'static str) -> Server {
    let mut content = Content::default();
    content.image("app", "latest", &[tar_of(&[("file", &noise(1, 50_000))])]);
    Server::start(move |request| match request.authorization() {
        Some(said) if said == allowed => content.answer(request),
        _ => Reply::new(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}"#,
        )
        .with("WWW-Authenticate", "Basic realm=\"x\""),
    })
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn config(registry: &str, mirror: &str, file: &Path, fallback: bool) -> Config {
    Config {
        backoff: Duration::from_millis(10),
        rules: vec![Rule {
            registry: registry.to_owned(),
            mirrors: vec![Mirror {
                url: mirror.to_owned(),
                prefix: String::new(),
                insecure: false,
                auth_file: Some(file.to_owned()),
            }],
            insecure: false,
            fallback,
        }],
        ..Config::default()
    }
}

/// Fetches manifest, configuration and layers.
async fn pull(
    client: &Client,
    reference: &ImageRef,
    auth: &Auth,
) -> Result<(), onggi_registry::Error> {
    let resolved = client.resolve(reference, auth).await?;
    let document = resolved.document().await?;
    let Parsed::Manifest(manifest) = document.parse(reference)? else {
        panic!("a manifest");
    };
    for descriptor in manifest.layers.iter().chain([&manifest.config]) {
        let mut blob = resolved.source.blob(descriptor, Verify::Here);
        while blob.next().await?.is_some() {}
    }
    Ok(())
}

#[tokio::test]
async fn a_mirror_gets_its_own_credentials_and_no_others() {
    let (mirror, origin) = (guarded(OURS), guarded(UPSTREAM));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.json");
    let host = mirror.host();
    write(
        &file,
        &format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6bWluZQ=="}}}}}}"#),
    );
    let client = Client::new(config(&origin.host(), &mirror.url(""), &file, true)).unwrap();
    let reference = ImageRef::parse(&format!("{}/app", origin.host())).unwrap();
    let upstream = Auth::basic("up", "stream");
    pull(&client, &reference, &upstream).await.unwrap();
    assert!(origin.requests().is_empty(), "the mirror had all of it");
    let said = |server: &Server, what| {
        let asked = server.requests();
        asked
            .iter()
            .any(|request| request.authorization() == Some(what))
    };
    assert!(said(&mirror, OURS) && !said(&mirror, UPSTREAM));

    // A password that was renewed is taken up without a word to us; one that is wrong makes us pass the mirror by.
    write(
        &file,
        &format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6b3RoZXI="}}}}}}"#),
    );
    pull(&client, &reference, &upstream).await.unwrap();
    assert!(said(&origin, UPSTREAM) && !said(&origin, OURS));
    assert!(said(&mirror, "Basic bWU6b3RoZXI=") && !said(&mirror, UPSTREAM));

    // A file that has gone is no reason not to pull.
    std::fs::remove_file(&file).unwrap();
    pull(&client, &reference, &upstream).await.unwrap();
    // Who is not known to the mirror and may not ask the registry is told so.
    write(
        &file,
        &format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6b3RoZXI="}}}}}}"#),
    );
    let alone = Client::new(config(&origin.host(), &mirror.url(""), &file, false)).unwrap();
    let error = pull(&alone, &reference, &upstream).await.unwrap_err();
    assert_eq!(chain(&error), "unauthorized: who?");
    assert!(!said(&mirror, UPSTREAM));
}

#[test]
fn what_cannot_be_a_login_is_refused_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.json");
    let check = |mirror: &str| {
        let checked = config("reg.example", mirror, &file, true).check();
        checked.map_err(|error| error.to_string())
    };
    assert!(
        check("https://m.example")
            .unwrap_err()
            .contains("No such file")
    );
    write(&file, r#"{"auths":{"m.example":{"auth":"bWU6bWluZQ=="}}}"#);
    assert_eq!(check("https://m.example/path"), Ok(()));
    let error = check("https://m.example:5000").unwrap_err();
    assert!(error.contains("nothing for m.example:5000"), "{error}");
    let error = check("http://m.example").unwrap_err();
    assert!(error.contains("in the clear"), "{error}");
}
