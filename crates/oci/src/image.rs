//! OCI image documents: descriptors, manifests, indexes, configurations, and the files of image archives.
//!
//! Plain data with public fields. The bytes of a document as they were pulled are kept by the store, never written
//! again from these types: a digest belongs to bytes. How documents are fetched is the registry's business.
//!
//! Kept true: [`Parsed::from_bytes`] never takes one document for two things (CVE-2021-41190).

mod config; // what an image says of its containers and of itself
pub mod media_type; // names of what documents and layers are
mod parse; // from bytes to one of them

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use onggi_model::Digest;
use serde::{Deserialize, Deserializer, Serialize};

pub use config::{CachedStep, ContainerConfig, Empty, Healthcheck, History, ImageConfig, RootFs};
pub use parse::{Error, Parsed};

/// Annotation keys with a meaning of their own.
pub mod annotation {
    /// The tag of an image in an OCI layout.
    pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
    /// When the image was made.
    pub const CREATED: &str = "org.opencontainers.image.created";
    /// The full name containerd and `docker save` put beside [`REF_NAME`].
    pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
    /// What an attestation manifest says about itself: `attestation-manifest`.
    pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
    /// The manifest that an attestation manifest speaks of.
    pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
}

/// The most bytes of a manifest, index or configuration that are read. Larger ones are refused (S12).
pub const MAX_DOCUMENT_SIZE: u64 = 4 << 20;

/// A pointer to content: type, digest and size, with what a client may want to know before it fetches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    #[serde(default)]
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// Other places to fetch it from. Never followed with credentials.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// Free key/value pairs.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, base64, for small content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What machine the content is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of the artifact, when the content is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor of just the three required parts.
    #[must_use]
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }
}

/// The machine an image is for, as indexes write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, ... in Go's words.
    #[serde(default)]
    pub architecture: String,
    /// `linux`, `windows`, ... in Go's words.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system; Windows images have it.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features the operating system must have.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// Variant of the architecture: `v7`, `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl From<&Platform> for onggi_model::Platform {
    /// Normalised as Docker does it: `x86_64` becomes `amd64`, `arm64` with `v8` becomes `arm64`.
    fn from(platform: &Platform) -> onggi_model::Platform {
        onggi_model::Platform::new(
            &platform.os,
            &platform.architecture,
            platform.variant.as_deref(),
        )
    }
}

impl From<&onggi_model::Platform> for Platform {
    fn from(platform: &onggi_model::Platform) -> Platform {
        Platform {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            ..Platform::default()
        }
    }
}

/// The manifest of one image: its configuration and its layers, base first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of this document; Docker's has it always, OCI's may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Type of the artifact, when this is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first.
    #[serde(deserialize_with = "nullable")]
    pub layers: Vec<Descriptor>,
    /// Another manifest this one speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free key/value pairs.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, one per platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Type of the artifact, when this is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests, in the order the publisher prefers them.
    #[serde(deserialize_with = "nullable")]
    pub manifests: Vec<Descriptor>,
    /// Another manifest this one speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free key/value pairs.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// The file `oci-layout` of an OCI image layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageLayout {
    /// Always `1.0.0`.
    pub image_layout_version: String,
}

/// One image in the file `manifest.json` of a `docker save` archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SavedImage {
    /// Path of the configuration inside the archive.
    pub config: String,
    /// Names to give; `null` for an image without any.
    pub repo_tags: Option<Vec<String>>,
    /// Paths of the layer tars inside the archive, base first.
    #[serde(default, deserialize_with = "nullable")]
    pub layers: Vec<String>,
    /// ID of the parent image, from old engines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Descriptors of foreign layers by diff ID.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub layer_sources: BTreeMap<String, Descriptor>,
}

/// Go writes nil lists and maps as `null`; here they are empty.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
