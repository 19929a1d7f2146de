//! From the bytes that a registry answered to one document, and never to two (CVE-2021-41190).

use onggi_model::{ErrorKind, Fault};
use serde::{Deserialize, Deserializer};

use super::{Index, MAX_DOCUMENT_SIZE, Manifest, media_type};

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
