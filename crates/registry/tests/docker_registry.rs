//! The same against a registry others wrote.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it was skipped"
)]

mod support;

use onggi_model::{ErrorKind, Fault, ImageRef, chain};
use onggi_oci::image::Parsed;
use onggi_registry::{Auth, Chunk, Client, Config, Verify};
use support::{DockerRegistry, noise, oci_layout, sha256, tar_of};

#[tokio::test]
async fn an_image_that_skopeo_pushed() {
    let Some(registry) = DockerRegistry::start() else {
        eprintln!("skipped: docker-registry is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let layer = tar_of(&[("big", &noise(3, 2_000_000))]);
    oci_layout(folder.path(), "v1", std::slice::from_ref(&layer));
    registry.push(
        &format!("oci:{}:v1", folder.path().display()),
        "team/app:v1",
        &[],
    );
    let client = Client::new(Config::default()).unwrap();
    let reference = ImageRef::parse(&format!("{}/team/app:v1", registry.host())).unwrap();
    let resolved = client
        .resolve(&reference, &Auth::anonymous())
        .await
        .unwrap();
    let document = resolved.document().await.unwrap();
    let Parsed::Manifest(manifest) = document.parse(&reference).unwrap() else {
        panic!("a manifest")
    };
    let config = resolved
        .source
        .bytes(&manifest.config, "image config")
        .await
        .unwrap();
    assert_eq!(sha256(&config), manifest.config.digest);
    let mut blob = resolved.source.blob(&manifest.layers[0], Verify::Here);
    let mut size = 0;
    while let Some(chunk) = blob.next().await.unwrap() {
        let Chunk::Data(data) = chunk else {
            panic!("it broke off")
        };
        size += data.len() as u64;
    }
    assert_eq!(size, manifest.layers[0].size);

    let nothing = ImageRef::parse(&format!("{}/team/nothing", registry.host())).unwrap();
    let error = client
        .resolve(&nothing, &Auth::anonymous())
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "manifest for {}/team/nothing:latest not found: manifest unknown: manifest unknown",
            registry.host()
        )
    );
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
