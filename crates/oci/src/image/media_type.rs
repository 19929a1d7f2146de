//! Media types of documents and layers, OCI's and Docker's.

/// OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The two bytes `{}`, as artifacts carry them for a configuration.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI layer, not compressed.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// OCI layer that must not be distributed, not compressed.
pub const LAYER_NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// OCI layer that must not be distributed, gzip.
pub const LAYER_NONDISTRIBUTABLE_GZIP: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
/// OCI layer that must not be distributed, zstd.
pub const LAYER_NONDISTRIBUTABLE_ZSTD: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
/// Docker manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest, schema 1: refused.
pub const DOCKER_MANIFEST_V1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker manifest, schema 1, signed: refused.
pub const DOCKER_MANIFEST_V1_SIGNED: &str =
    "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker layer, not compressed.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker layer, gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker layer, zstd.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// Docker layer that lies elsewhere, gzip.
pub const DOCKER_LAYER_FOREIGN_GZIP: &str =
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// What a client accepts when it asks for a manifest, best first.
pub const ACCEPTED: [&str; 4] = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

/// Whether this is an index or a manifest list.
#[must_use]
pub fn is_index(name: &str) -> bool {
    matches!(name, INDEX | DOCKER_INDEX)
}

/// Whether this is the manifest of one image.
#[must_use]
pub fn is_manifest(name: &str) -> bool {
    matches!(name, MANIFEST | DOCKER_MANIFEST)
}

/// Whether this is a layer that may not be given away: everyone fetches it from where it is.
#[must_use]
pub fn is_foreign(name: &str) -> bool {
    matches!(
        name,
        LAYER_NONDISTRIBUTABLE
            | LAYER_NONDISTRIBUTABLE_GZIP
            | LAYER_NONDISTRIBUTABLE_ZSTD
            | DOCKER_LAYER_FOREIGN_GZIP
    )
}

/// Whether this is the configuration of an image, not of some other artifact.
#[must_use]
pub fn is_image_config(name: &str) -> bool {
    matches!(name, CONFIG | DOCKER_CONFIG)
}

/// Whether this is a layer that can become part of a root file system.
#[must_use]
pub fn is_layer(name: &str) -> bool {
    matches!(
        name,
        LAYER
            | LAYER_GZIP
            | LAYER_ZSTD
            | LAYER_NONDISTRIBUTABLE
            | LAYER_NONDISTRIBUTABLE_GZIP
            | LAYER_NONDISTRIBUTABLE_ZSTD
            | DOCKER_LAYER
            | DOCKER_LAYER_GZIP
            | DOCKER_LAYER_ZSTD
            | DOCKER_LAYER_FOREIGN_GZIP
    )
}

/// A layer's type in Docker's words.
#[must_use]
pub fn as_docker(name: &str) -> &str {
    match name {
        LAYER => DOCKER_LAYER,
        LAYER_GZIP => DOCKER_LAYER_GZIP,
        LAYER_ZSTD => DOCKER_LAYER_ZSTD,
        other => other,
    }
}

/// A layer's type in OCI's words.
#[must_use]
pub fn as_oci(name: &str) -> &str {
    match name {
        DOCKER_LAYER => LAYER,
        DOCKER_LAYER_GZIP => LAYER_GZIP,
        DOCKER_LAYER_ZSTD => LAYER_ZSTD,
        other => other,
    }
}
