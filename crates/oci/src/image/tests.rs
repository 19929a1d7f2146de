#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use onggi_model::{ErrorKind, Fault as _};

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn manifest_text(extra: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,{extra}"config":{{"mediaType":"{}","digest":"sha256:{HEX}","size":2}},"layers":[]}}"#,
        media_type::CONFIG
    )
}

fn index_text(extra: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,{extra}"manifests":[{{"mediaType":"{}","digest":"sha256:{HEX}","size":7,"platform":{{"architecture":"arm","os":"linux","variant":"v7"}}}}]}}"#,
        media_type::MANIFEST
    )
}

#[test]
fn a_manifest_is_a_manifest_and_an_index_an_index() {
    let text = manifest_text("");
    for content_type in [
        None,
        Some("application/json; charset=utf-8"),
        Some("application/vnd.oci.image.manifest.v1+json;charset=utf-8"),
        Some(media_type::DOCKER_MANIFEST),
    ] {
        let parsed = Parsed::from_bytes(text.as_bytes(), content_type).unwrap();
        assert!(matches!(parsed, Parsed::Manifest(_)), "{content_type:?}");
    }
    let parsed = Parsed::from_bytes(index_text("").as_bytes(), Some(media_type::INDEX)).unwrap();
    let Parsed::Index(index) = parsed else {
        panic!("not an index")
    };
    let platform = index.manifests[0].platform.clone().unwrap();
    assert_eq!(platform.variant.as_deref(), Some("v7"));
}

#[test]
fn a_document_that_is_two_things_is_refused() {
    let both = format!(
        r#"{{"schemaVersion":2,"manifests":[],"layers":[],"config":{{"digest":"sha256:{HEX}","size":0}}}}"#
    );
    assert!(matches!(
        Parsed::from_bytes(both.as_bytes(), Some(media_type::INDEX)),
        Err(Error::Ambiguous("layers"))
    ));
    // Even null counts: another parser may take the key for the shape.
    let null = r#"{"schemaVersion":2,"manifests":[],"config":null}"#;
    assert!(matches!(
        Parsed::from_bytes(null.as_bytes(), None),
        Err(Error::Ambiguous("config"))
    ));
    let twice = r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#;
    assert!(matches!(
        Parsed::from_bytes(twice.as_bytes(), None),
        Err(Error::Malformed(_))
    ));
}

#[test]
fn a_media_type_that_contradicts_is_refused() {
    let text = manifest_text("");
    assert!(matches!(
        Parsed::from_bytes(text.as_bytes(), Some(media_type::INDEX)),
        Err(Error::Contradiction {
            found: "a manifest",
            ..
        })
    ));
    let text = index_text(&format!(
        r#""mediaType":"{}","#,
        media_type::DOCKER_MANIFEST
    ));
    assert!(matches!(
        Parsed::from_bytes(text.as_bytes(), None),
        Err(Error::Contradiction {
            found: "an index",
            ..
        })
    ));
    let text = manifest_text(&format!(
        r#""mediaType":"{}","#,
        media_type::DOCKER_MANIFEST
    ));
    assert!(matches!(
        Parsed::from_bytes(text.as_bytes(), Some(media_type::MANIFEST)),
        Err(Error::Contradiction { .. })
    ));
    assert!(matches!(
        Parsed::from_bytes(text.as_bytes(), Some("text/html")),
        Err(Error::MediaType(name)) if name == "text/html"
    ));
}

#[test]
fn schema_one_large_and_shapeless_documents_are_refused() {
    let one = r#"{"schemaVersion":1,"fsLayers":[{"blobSum":"sha256:0"}],"history":[]}"#;
    let error = Parsed::from_bytes(one.as_bytes(), None).unwrap_err();
    assert!(matches!(error, Error::SchemaVersion(1)));
    assert_eq!(error.kind(), ErrorKind::NotImplemented);
    let large = vec![b' '; MAX_DOCUMENT_SIZE as usize + 1];
    assert_eq!(
        Parsed::from_bytes(&large, None).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert!(matches!(
        Parsed::from_bytes(b"{}", None),
        Err(Error::Shapeless)
    ));
    assert!(matches!(
        Parsed::from_bytes(b"<html>", None),
        Err(Error::Malformed(_))
    ));
    let negative = manifest_text("").replace(r#""size":2"#, r#""size":-2"#);
    assert!(matches!(
        Parsed::from_bytes(negative.as_bytes(), None),
        Err(Error::Malformed(_))
    ));
}

#[test]
fn a_docker_configuration_with_nulls_is_read() {
    let text = format!(
        r#"{{"architecture":"amd64","config":{{"Hostname":"","User":"","ExposedPorts":{{"80/tcp":{{}}}},
        "Env":null,"Cmd":["sh"],"Entrypoint":null,"Volumes":null,"OnBuild":null,"Labels":null,
        "Healthcheck":{{"Test":["CMD-SHELL","true"],"Interval":30000000000}}}},
        "created":"2024-01-02T03:04:05.006Z","history":null,"os":"linux",
        "rootfs":{{"type":"layers","diff_ids":["sha256:{HEX}"]}}}}"#
    );
    let config = ImageConfig::from_bytes(text.as_bytes()).unwrap();
    assert_eq!(config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
    assert_eq!(config.config.entrypoint, None);
    assert_eq!(config.config.exposed_ports.len(), 1);
    assert_eq!(
        config.config.healthcheck.as_ref().unwrap().interval,
        30_000_000_000
    );
    assert_eq!(config.rootfs.diff_ids.len(), 1);
    let again = serde_json::to_vec(&config).unwrap();
    assert_eq!(ImageConfig::from_bytes(&again).unwrap(), config);
}

#[test]
fn an_absent_and_an_empty_entrypoint_differ() {
    let config: ContainerConfig =
        serde_json::from_str(r#"{"Entrypoint":[],"ExposedPorts":{"1/udp":null}}"#).unwrap();
    assert_eq!(config.entrypoint, Some(Vec::new()));
    assert_eq!(
        serde_json::to_string(&config).unwrap(),
        r#"{"ExposedPorts":{"1/udp":{}},"Entrypoint":[]}"#
    );
}

#[test]
fn the_archive_of_docker_save_is_read() {
    let saved: Vec<SavedImage> =
        serde_json::from_str(r#"[{"Config":"a.json","RepoTags":null,"Layers":["b/layer.tar"]}]"#)
            .unwrap();
    assert_eq!(saved[0].repo_tags, None);
    assert_eq!(saved[0].layers, ["b/layer.tar"]);
}
