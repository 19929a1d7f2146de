//! Manifests and indexes as a registry sees them: their type, what they need, and what they speak about.
//!
//! What an image means is not here (`onggi_oci`): artifacts of any kind are stored, and the bytes are never changed.

use std::collections::BTreeMap;

use onggi_model::{Digest, DigestError};
use onggi_oci::image::{MAX_DOCUMENT_SIZE, media_type};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Artifacts from before they became images; `blobs` instead of `layers`.
const ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// More bytes than a manifest may have.
    #[error("manifest of {0} bytes is larger than the limit of {MAX_DOCUMENT_SIZE} bytes")]
    TooLarge(u64),
    /// Not JSON, or not of the shape the specification asks for.
    #[error("manifest is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A digest that is none.
    #[error("manifest names the digest {0:?}: {1}")]
    Digest(String, DigestError),
    /// One document that could be read as two (CVE-2021-41190).
    #[error("manifest is ambiguous: it has \"manifests\" and {0:?}")]
    Ambiguous(&'static str),
    /// The types beside it and in it differ, or do not go with the content.
    #[error("manifest is {found}, but its media type is {said:?}")]
    Contradiction {
        /// What it is.
        found: String,
        /// What was said.
        said: String,
    },
    /// A type no manifest has.
    #[error(
        "media type {0:?} is not supported: push an OCI or a Docker schema 2 manifest or index"
    )]
    Type(String),
    /// `schemaVersion` is not 2.
    #[error("manifest schema version {0} is not supported")]
    Version(u64),
}

/// What a registry must know of a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    media_type: String,
    artifact_type: Option<String>,
    annotations: BTreeMap<String, String>,
    subject: Option<Digest>,
    /// Blobs it cannot do without, with their sizes.
    blobs: Vec<(Digest, u64)>,
    /// Blobs that may be elsewhere: foreign layers.
    foreign: Vec<Digest>,
    /// Manifests it lists.
    manifests: Vec<Digest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Pointer>,
    layers: Option<Vec<Pointer>>,
    blobs: Option<Vec<Pointer>>,
    manifests: Option<Vec<Pointer>>,
    fs_layers: Option<IgnoredAny>,
    subject: Option<Pointer>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pointer {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    urls: Option<Vec<String>>,
}

impl Pointer {
    fn digest(&self) -> Result<Digest, DocumentError> {
        Digest::parse(&self.digest)
            .map_err(|error| DocumentError::Digest(self.digest.clone(), error))
    }
}

impl Document {
    /// Reads a manifest; `said` is the `Content-Type` it came with.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub(crate) fn parse(bytes: &[u8], said: Option<&str>) -> Result<Document, DocumentError> {
        if bytes.len() as u64 > MAX_DOCUMENT_SIZE {
            return Err(DocumentError::TooLarge(bytes.len() as u64));
        }
        let raw: Raw = serde_json::from_slice(bytes)?;
        if raw.fs_layers.is_some() {
            return Err(DocumentError::Version(raw.schema_version.unwrap_or(1)));
        }
        if let Some(version) = raw.schema_version.filter(|version| *version != 2) {
            return Err(DocumentError::Version(version));
        }
        let (is_index, shape) = shape(&raw)?;
        let said = said
            .and_then(|text| text.split(';').next())
            .map(str::trim)
            .filter(|text| !matches!(*text, "" | "application/json" | "application/octet-stream"));
        let media_type = match (raw.media_type.as_deref(), said) {
            (Some(inside), Some(outside)) if inside != outside => {
                return Err(DocumentError::Contradiction {
                    found: inside.to_owned(),
                    said: outside.to_owned(),
                });
            }
            (Some(name), _) | (None, Some(name)) => name.to_owned(),
            (None, None) => shape.to_owned(),
        };
        let known = if is_index {
            media_type::is_index(&media_type)
        } else {
            media_type::is_manifest(&media_type) || media_type == ARTIFACT
        };
        if !known {
            let manifest = media_type::is_index(&media_type)
                || media_type::is_manifest(&media_type)
                || media_type == ARTIFACT;
            return Err(match manifest {
                true => DocumentError::Contradiction {
                    found: shape.to_owned(),
                    said: media_type,
                },
                false => DocumentError::Type(media_type),
            });
        }
        let artifact_type = raw
            .artifact_type
            .filter(|text| !text.is_empty())
            .or_else(|| raw.config.as_ref().map(|config| config.media_type.clone()));
        let mut document = Document {
            media_type,
            artifact_type,
            annotations: raw.annotations.unwrap_or_default(),
            subject: raw.subject.as_ref().map(Pointer::digest).transpose()?,
            blobs: Vec::new(),
            foreign: Vec::new(),
            manifests: Vec::new(),
        };
        let content = [raw.layers, raw.blobs].into_iter().flatten().flatten();
        for pointer in raw.config.into_iter().chain(content) {
            let digest = pointer.digest()?;
            if is_foreign(&pointer) {
                document.foreign.push(digest);
            } else {
                document.blobs.push((digest, pointer.size));
            }
        }
        for pointer in raw.manifests.iter().flatten() {
            document.manifests.push(pointer.digest()?);
        }
        Ok(document)
    }

    /// The media type it is served as.
    pub(crate) fn media_type(&self) -> &str {
        &self.media_type
    }

    /// What kind of artifact it is: its own word, else its configuration's type.
    pub(crate) fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref()
    }

    /// Its annotations.
    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// The manifest it speaks about.
    pub(crate) fn subject(&self) -> Option<&Digest> {
        self.subject.as_ref()
    }

    /// Blobs it cannot do without.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Digest> {
        self.blobs.iter().map(|(digest, _)| digest)
    }

    /// Manifests it lists.
    pub(crate) fn manifests(&self) -> &[Digest] {
        &self.manifests
    }

    /// Everything it names that is to be kept as long as it is.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Digest> {
        self.blobs().chain(&self.foreign).chain(&self.manifests)
    }

    /// The size it says a blob has.
    pub(crate) fn size_of(&self, digest: &Digest) -> Option<u64> {
        let found = self.blobs.iter().find(|(blob, _)| blob == digest);
        found.map(|(_, size)| *size)
    }
}

/// Whether it is an index, and the type such a thing has when nothing is said.
fn shape(raw: &Raw) -> Result<(bool, &'static str), DocumentError> {
    let content = [
        (raw.layers.is_some(), "layers"),
        (raw.config.is_some(), "config"),
        (raw.blobs.is_some(), "blobs"),
    ];
    let content = content.iter().find(|(there, _)| *there);
    match (raw.manifests.is_some(), content) {
        (true, Some((_, key))) => Err(DocumentError::Ambiguous(key)),
        (true, None) => Ok((true, media_type::INDEX)),
        (false, Some((_, "blobs"))) => Ok((false, ARTIFACT)),
        (false, Some(_)) => {
            if raw.config.is_none() {
                let error = <serde_json::Error as serde::de::Error>::missing_field("config");
                return Err(error.into());
            }
            Ok((false, media_type::MANIFEST))
        }
        // An artifact of the old kind may be nothing but a subject and annotations.
        (false, None) if raw.media_type.as_deref() == Some(ARTIFACT) => Ok((false, ARTIFACT)),
        (false, None) => {
            let error = <serde_json::Error as serde::de::Error>::missing_field("layers");
            Err(error.into())
        }
    }
}

/// Layers that registries do not have to have: Windows' base layers, which come from their publisher.
fn is_foreign(pointer: &Pointer) -> bool {
    matches!(
        pointer.media_type.as_str(),
        media_type::LAYER_NONDISTRIBUTABLE
            | media_type::LAYER_NONDISTRIBUTABLE_GZIP
            | media_type::LAYER_NONDISTRIBUTABLE_ZSTD
            | media_type::DOCKER_LAYER_FOREIGN_GZIP
    ) || pointer.urls.as_ref().is_some_and(|urls| !urls.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str, said: Option<&str>) -> Result<Document, DocumentError> {
        Document::parse(text.replace("D0", D).as_bytes(), said)
    }

    #[test]
    fn documents_of_all_kinds() {
        let pointer = r#"{"mediaType":"m/t","digest":"D0","size":0}"#;
        let table = [
            (format!(r#"{{"schemaVersion":2,"config":{pointer},"layers":[{pointer}]}}"#), None, media_type::MANIFEST, 2, 0),
            (
                format!(r#"{{"schemaVersion":2,"config":{pointer},"layers":[]}}"#),
                Some(media_type::DOCKER_MANIFEST),
                media_type::DOCKER_MANIFEST,
                1,
                0,
            ),
            (format!(r#"{{"schemaVersion":2,"manifests":[{pointer}]}}"#), Some("application/json"), media_type::INDEX, 0, 1),
            (
                format!(r#"{{"mediaType":"{}","manifests":[]}}"#, media_type::DOCKER_INDEX),
                Some(media_type::DOCKER_INDEX),
                media_type::DOCKER_INDEX,
                0,
                0,
            ),
            (format!(r#"{{"mediaType":"{ARTIFACT}","blobs":[{pointer}],"subject":{pointer}}}"#), Some(ARTIFACT), ARTIFACT, 1, 0),
            (
                r#"{"schemaVersion":2,"config":{"digest":"D0","size":1},"layers":[{"digest":"D0","size":1,"urls":["https://x"]}]}"#.to_owned(),
                None,
                media_type::MANIFEST,
                1,
                0,
            ),
        ];
        for (text, said, kind, blobs, manifests) in table {
            let document = parse(&text, said).unwrap();
            assert_eq!(document.media_type(), kind, "{text}");
            assert_eq!(document.blobs().count(), blobs, "{text}");
            assert_eq!(document.manifests().len(), manifests, "{text}");
        }
    }

    #[test]
    fn refused() {
        let deep = "[".repeat(100_000);
        let large = format!("{{\"x\":\"{}\"}}", "a".repeat(4 << 20));
        for (text, said) in [
            ("", None),
            ("{}", None),
            ("[]", None),
            ("null", None),
            (deep.as_str(), None),
            (large.as_str(), None),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, None),
            (r#"{"schemaVersion":3,"manifests":[]}"#, None),
            (r#"{"manifests":[],"layers":[]}"#, None),
            (
                r#"{"manifests":[],"config":{"digest":"D0","size":0}}"#,
                None,
            ),
            (r#"{"schemaVersion":2,"layers":[]}"#, None),
            (
                r#"{"manifests":[{"digest":"sha256:../../x","size":0}]}"#,
                None,
            ),
            (r#"{"manifests":[{"digest":"D0","size":-1}]}"#, None),
            (r#"{"manifests":[{"digest":"D0"}]}"#, None),
            (r#"{"manifests":[]}"#, Some(media_type::MANIFEST)),
            (r#"{"manifests":[],"mediaType":"text/html"}"#, None),
            (r#"{"manifests":[]}"#, Some("text/html")),
            (
                r#"{"config":{"digest":"D0","size":0},"layers":[]}"#,
                Some(media_type::INDEX),
            ),
        ] {
            assert!(
                parse(text, said).is_err(),
                "{}",
                &text[..text.len().min(80)]
            );
        }
    }
}
