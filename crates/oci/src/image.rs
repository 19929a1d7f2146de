//! OCI image documents: descriptors, manifests, indexes, configurations, and the files of image archives.
//!
//! Plain data with public fields. The bytes of a document as they were pulled are kept by the store, never written
//! again from these types: a digest belongs to bytes. How documents are fetched is the registry's business.
//!
//! Kept true: [`Parsed::from_bytes`] never takes one document for two things (CVE-2021-41190).

pub mod media_type; // names of what documents and layers are

use std::collections::BTreeMap;

use onggi_model::{Digest, ErrorKind, Fault};
use serde::{Deserialize, Deserializer, Serialize};

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

/// The configuration document of an image; its digest is the image ID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Architecture in Go's words.
    #[serde(default)]
    pub architecture: String,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Operating system in Go's words.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system.
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
    /// What a container of this image runs, and how.
    #[serde(default, deserialize_with = "nullable")]
    pub config: ContainerConfig,
    /// The layers by the digest of their uncompressed tars.
    #[serde(default)]
    pub rootfs: RootFs,
    /// How each layer came to be.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub history: Vec<History>,
    /// Docker's: remark of a commit or import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Docker's: version of the engine that built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_version: Option<String>,
    /// Docker's: image ID of the parent, in images that were built locally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Ours: the steps of the build that made it, so that builds elsewhere know them (`BUILDKIT_INLINE_CACHE=1`).
    #[serde(
        rename = "onggi.build.cache",
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub build_cache: Vec<CachedStep>,
}

/// A step of the build that made an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedStep {
    /// What it is known by.
    pub keys: Vec<String>,
    /// Its layer, counted from the base; none where it changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// When it was done, RFC 3339.
    pub created: String,
    /// What it is to people.
    pub description: String,
}

/// What a container of the image runs, and how: the defaults that `docker run` overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// User and group, names or numbers.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// Ports the program listens on, `80/tcp`.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// Environment, `NAME=value`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Entrypoint; absent and empty differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments; absent and empty differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths that become anonymous volumes.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub volumes: BTreeMap<String, Empty>,
    /// Working directory.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// Labels.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the program to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Docker's: seconds between the stop signal and the kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// Docker's: `Cmd` is already escaped for Windows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// Docker's: how to ask the program whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Docker's: instructions for builds on top of this image.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Docker's: the shell of the shell form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// How to ask the program whether it is well. Durations are nanoseconds; 0 means the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ..]` or `["CMD-SHELL", ..]`; absent inherits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// Between two probes.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// For one probe.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// In which failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two probes in the start period.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// The layers of an image by the digests of their uncompressed tars, base first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers, base first.
    #[serde(default, deserialize_with = "nullable")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> RootFs {
        RootFs {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        }
    }
}

/// How one layer, or one instruction without a layer, came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By what instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether no layer belongs to this entry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// The value of Go's `map[string]struct{}`: `{}` when written, `{}` or `null` when read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Empty, D::Error> {
        Option::<BTreeMap<String, serde::de::IgnoredAny>>::deserialize(deserializer)?;
        Ok(Empty {})
    }
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

/// What a registry answered for a reference: the manifest of one image, or an index of several.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one per pull")]
pub enum Parsed {
    /// One image.
    Manifest(Manifest),
    /// Several images.
    Index(Index),
}

/// Why a manifest, index or configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or not of the shape the specification asks for.
    #[error("malformed image document")]
    Malformed(#[source] serde_json::Error),
    /// The document is more than [`MAX_DOCUMENT_SIZE`] bytes.
    #[error("image document of {0} bytes is larger than the limit of {MAX_DOCUMENT_SIZE} bytes")]
    TooLarge(u64),
    /// One document that could be read as two (CVE-2021-41190).
    #[error("ambiguous image document: it has both \"manifests\" and {0:?}")]
    Ambiguous(&'static str),
    /// Neither a manifest nor an index.
    #[error("image document has neither \"manifests\" nor \"layers\"")]
    Shapeless,
    /// The media type, in the document or beside it, says something else than the content.
    #[error("image document is {found}, but its media type is {media_type:?}")]
    Contradiction {
        /// What the content is.
        found: &'static str,
        /// What was said.
        media_type: String,
    },
    /// A media type that no image has.
    #[error("unsupported media type {0:?} of an image document")]
    MediaType(String),
    /// `schemaVersion` is not 2.
    #[error("unsupported manifest schema version {0}")]
    SchemaVersion(u64),
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::TooLarge(_) => ErrorKind::TooLarge,
            Error::MediaType(_) | Error::SchemaVersion(_) => ErrorKind::NotImplemented,
            Error::Malformed(_)
            | Error::Ambiguous(_)
            | Error::Shapeless
            | Error::Contradiction { .. } => ErrorKind::InvalidParameter,
        }
    }
}

/// The keys that decide what a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    #[serde(default)]
    manifests: Present,
    #[serde(default)]
    layers: Present,
    #[serde(default)]
    config: Present,
    #[serde(default)]
    fs_layers: Present,
}

/// Whether a key is there at all, whatever its value.
#[derive(Clone, Copy, Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Present, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        Ok(Present(true))
    }
}

impl Parsed {
    /// Reads a manifest or an index. `content_type` is what the transport said (parameters after `;` are ignored);
    /// pass `None` where nothing was said, or a type that says nothing such as `application/json`.
    ///
    /// # Errors
    /// By [`Error`]: anything that is not exactly one of the two, or contradicts its media types.
    pub fn from_bytes(bytes: &[u8], content_type: Option<&str>) -> Result<Parsed, Error> {
        if bytes.len() as u64 > MAX_DOCUMENT_SIZE {
            return Err(Error::TooLarge(bytes.len() as u64));
        }
        let shape: Shape = serde_json::from_slice(bytes).map_err(Error::Malformed)?;
        let (index, found) = match (shape.manifests.0, shape.layers.0, shape.config.0) {
            (true, true, _) => return Err(Error::Ambiguous("layers")),
            (true, _, true) => return Err(Error::Ambiguous("config")),
            (true, false, false) if shape.fs_layers.0 => return Err(Error::Ambiguous("fsLayers")),
            (true, false, false) => (true, "an index"),
            (false, true, _) | (false, _, true) => (false, "a manifest"),
            (false, false, false) if shape.fs_layers.0 => {
                return Err(Error::SchemaVersion(shape.schema_version.unwrap_or(1)));
            }
            (false, false, false) => return Err(Error::Shapeless),
        };
        if let Some(version) = shape.schema_version.filter(|version| *version != 2) {
            return Err(Error::SchemaVersion(version));
        }
        let said = content_type.map(essence).filter(|name| !says_nothing(name));
        for name in [shape.media_type.as_deref(), said].into_iter().flatten() {
            match (media_type::is_index(name), media_type::is_manifest(name)) {
                (false, false) => return Err(Error::MediaType(name.to_owned())),
                (is_index, _) if is_index != index => {
                    return Err(Error::Contradiction {
                        found,
                        media_type: name.to_owned(),
                    });
                }
                _ => {}
            }
        }
        if let (Some(inside), Some(outside)) = (shape.media_type.as_deref(), said)
            && inside != outside
        {
            return Err(Error::Contradiction {
                found,
                media_type: outside.to_owned(),
            });
        }
        if index {
            serde_json::from_slice(bytes)
                .map(Parsed::Index)
                .map_err(Error::Malformed)
        } else {
            serde_json::from_slice(bytes)
                .map(Parsed::Manifest)
                .map_err(Error::Malformed)
        }
    }

    /// The media type to record for the document: its own, or OCI's for its shape.
    #[must_use]
    pub fn media_type(&self) -> &str {
        match self {
            Parsed::Manifest(manifest) => manifest
                .media_type
                .as_deref()
                .unwrap_or(media_type::MANIFEST),
            Parsed::Index(index) => index.media_type.as_deref().unwrap_or(media_type::INDEX),
        }
    }
}

impl ImageConfig {
    /// Reads the configuration of an image.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<ImageConfig, Error> {
        if bytes.len() as u64 > MAX_DOCUMENT_SIZE {
            return Err(Error::TooLarge(bytes.len() as u64));
        }
        serde_json::from_slice(bytes).map_err(Error::Malformed)
    }

    /// The machine the image is for.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
        }
    }
}

/// A content type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Types that servers send when they do not know better.
fn says_nothing(name: &str) -> bool {
    matches!(
        name,
        "" | "application/json" | "application/octet-stream" | "text/plain"
    )
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes nil lists and maps as `null`; here they are empty.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
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
        let parsed =
            Parsed::from_bytes(index_text("").as_bytes(), Some(media_type::INDEX)).unwrap();
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
        let saved: Vec<SavedImage> = serde_json::from_str(
            r#"[{"Config":"a.json","RepoTags":null,"Layers":["b/layer.tar"]}]"#,
        )
        .unwrap();
        assert_eq!(saved[0].repo_tags, None);
        assert_eq!(saved[0].layers, ["b/layer.tar"]);
    }
}
