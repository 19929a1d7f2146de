//! Manifests for images that came without one, and the record an image gets.

use std::collections::BTreeSet;

use onggi_model::{Digest, Timestamp};
use onggi_oci::image::{Descriptor, ImageConfig, Manifest, media_type};
use onggi_store::{ChainId, ImageRecord};

use crate::Error;

/// The manifest, in Docker's schema 2, of an image whose archive had none.
pub(crate) fn manifest(
    config: &[u8],
    config_digest: &Digest,
    layers: Vec<Descriptor>,
) -> Result<Vec<u8>, Error> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::DOCKER_MANIFEST.to_owned()),
        artifact_type: None,
        config: Descriptor::new(
            media_type::DOCKER_CONFIG,
            config_digest.clone(),
            config.len() as u64,
        ),
        layers,
        subject: None,
        annotations: Default::default(),
    };
    serde_json::to_vec(&manifest).map_err(|e| Error::Load(e.to_string()))
}

/// The media type of a layer as it came.
pub(crate) fn layer_type(compression: onggi_archive::Compression) -> &'static str {
    match compression {
        // Layers of the last two are kept uncompressed.
        onggi_archive::Compression::None
        | onggi_archive::Compression::Bzip2
        | onggi_archive::Compression::Xz => media_type::DOCKER_LAYER,
        onggi_archive::Compression::Gzip => media_type::DOCKER_LAYER_GZIP,
        onggi_archive::Compression::Zstd => media_type::DOCKER_LAYER_ZSTD,
    }
}

/// What the catalogue is to know about an image, without its names.
pub(crate) fn record(
    id: &Digest,
    config: &ImageConfig,
    target: Descriptor,
    manifest: Digest,
    layers: Vec<ChainId>,
    size: u64,
) -> ImageRecord {
    ImageRecord {
        id: id.clone(),
        target,
        manifest,
        layers,
        blobs: BTreeSet::new(),
        references: BTreeSet::new(),
        repo_digests: BTreeSet::new(),
        size,
        created: config.created.clone(),
        platform: config.platform(),
        tagged: Some(Timestamp::now().to_string()),
        parent: None,
    }
}

/// RFC 3339 as Go reads it, and nothing beyond.
fn is_time(text: &str) -> bool {
    text.as_bytes().get(10) == Some(&b'T') && !text.contains('[') && Timestamp::parse(text).is_ok()
}

/// Refuses what cannot run on any Linux, and what clients could not read.
pub(crate) fn check(config: &ImageConfig, layers: usize) -> Result<(), Error> {
    if let Some(created) = &config.created
        && !is_time(created)
    {
        return Err(Error::Created(created.clone()));
    }
    // An empty word is from times when there was only one operating system.
    if !matches!(config.os.as_str(), "linux" | "") {
        return Err(Error::OperatingSystem(config.os.clone()));
    }
    if config.rootfs.kind != "layers" {
        return Err(Error::RootfsInvalid);
    }
    if config.rootfs.diff_ids.len() != layers {
        return Err(Error::RootfsMismatch);
    }
    Ok(())
}
