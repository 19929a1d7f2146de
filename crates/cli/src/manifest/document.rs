//! What is kept of an image that goes into a list, and the list that is made of them: Docker's documents.

use base64::Engine as _;
use onggi_gotmpl::escape_html;
use onggi_model::ImageRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image's manifest with what is known about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageManifest {
    #[serde(rename = "Ref")]
    pub(super) reference: String,
    pub(super) descriptor: Descriptor,
    /// The manifest's bytes, base64.
    #[serde(default)]
    pub(super) raw: String,
    #[serde(
        default,
        rename = "SchemaV2Manifest",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) docker: Option<Value>,
    #[serde(
        default,
        rename = "OCIManifest",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) oci: Option<Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) os: String,
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "String::is_empty"
    )]
    pub(super) os_version: String,
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub(super) os_features: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) variant: String,
}

impl ImageManifest {
    /// Of a manifest's bytes.
    pub(super) fn new(reference: &ImageRef, descriptor: Descriptor, bytes: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes).map_err(unreadable)?;
        let oci = descriptor.media_type == OCI_MANIFEST;
        let (docker, oci) = match oci {
            true => (None, Some(value)),
            false => (Some(value), None),
        };
        Ok(ImageManifest {
            reference: reference.to_string(),
            descriptor,
            raw: base64::engine::general_purpose::STANDARD.encode(bytes),
            docker,
            oci,
        })
    }

    /// The manifest as it came.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(&self.raw);
        match bytes {
            Ok(bytes) if !bytes.is_empty() => Ok(bytes),
            // Very old files have no bytes of their own.
            _ => {
                let value = self.manifest();
                serde_json::to_vec(&value).map_err(unreadable)
            }
        }
    }

    fn manifest(&self) -> Value {
        let found = self.docker.as_ref().or(self.oci.as_ref());
        found.cloned().unwrap_or_default()
    }
}

/// The list of these images, for a name: its media type and its bytes, as Docker writes them.
pub(super) fn list(target: &ImageRef, images: &[ImageManifest]) -> Result<(String, Vec<u8>)> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry<'a> {
        media_type: &'a str,
        size: u64,
        digest: &'a str,
        platform: Platform,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a> {
        schema_version: u32,
        media_type: &'a str,
        manifests: Vec<Entry<'a>>,
    }
    let mut manifests = Vec::new();
    for image in images {
        same_registry(target, image)?;
        manifests.push(Entry {
            media_type: &image.descriptor.media_type,
            size: image.descriptor.size,
            digest: &image.descriptor.digest,
            platform: image.descriptor.platform.clone().unwrap_or_default(),
        });
    }
    let media_type = match manifests.first() {
        Some(first) if first.media_type == OCI_MANIFEST => OCI_INDEX,
        _ => DOCKER_LIST,
    };
    let list = List {
        schema_version: 2,
        media_type,
        manifests,
    };
    Ok((media_type.to_owned(), indented(&list, b"   ")?.into_bytes()))
}

/// Refuses images of elsewhere: a registry's list names what the registry has.
fn same_registry(target: &ImageRef, image: &ImageManifest) -> Result<()> {
    let from = super::reference(&image.reference)?;
    match from.domain() == target.domain() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "cannot use source images from a different registry than the target image: {} != {}",
            from.domain(),
            target.domain()
        ))),
    }
}

/// A document over several lines.
pub(super) fn indented(document: &impl Serialize, by: &[u8]) -> Result<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(by);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    document.serialize(&mut serializer).map_err(unreadable)?;
    Ok(escape_html(&String::from_utf8_lossy(&text)))
}

/// A JSON text over several lines, as it is.
pub(super) fn reindented(bytes: &[u8]) -> Result<String> {
    let value: Value = serde_json::from_slice(bytes).map_err(unreadable)?;
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value.serialize(&mut serializer).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

pub(super) fn unreadable(error: serde_json::Error) -> Error {
    Error::new(error.to_string())
}

/// Whether images for such a machine can be made at all, as far as Docker knows.
pub(super) fn is_known(os: &str, architecture: &str) -> bool {
    let architectures: &[&str] = match os {
        "linux" => &[
            "386", "amd64", "arm", "arm64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x",
        ],
        "windows" | "plan9" => &["386", "amd64"],
        "darwin" => &["386", "amd64", "arm", "arm64"],
        "freebsd" | "netbsd" | "openbsd" => &["386", "amd64", "arm"],
        "solaris" | "dragonfly" => &["amd64"],
        _ => &[],
    };
    architectures.contains(&architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(reference: &str, media_type: &str) -> ImageManifest {
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{}", "a".repeat(64)),
            size: 3,
            platform: Some(Platform {
                architecture: "amd64".to_owned(),
                os: "linux".to_owned(),
                ..Platform::default()
            }),
        };
        let bytes = br#"{"config":{"digest":"c"},"layers":[{"digest":"l"}]}"#;
        let reference = ImageRef::parse(reference).unwrap();
        ImageManifest::new(&reference, descriptor, bytes).unwrap()
    }

    #[test]
    fn a_list_is_written_as_docker_does() {
        let target = ImageRef::parse("reg.example/list").unwrap();
        let (kind, bytes) = list(&target, &[image("reg.example/a:1", DOCKER_MANIFEST)]).unwrap();
        assert_eq!(kind, DOCKER_LIST);
        let expected = format!(
            "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{DOCKER_LIST}\",\n   \"manifests\": [\n      {{\n         \
             \"mediaType\": \"{DOCKER_MANIFEST}\",\n         \"size\": 3,\n         \"digest\": \"sha256:{}\",\n         \
             \"platform\": {{\n            \"architecture\": \"amd64\",\n            \"os\": \"linux\"\n         }}\n      \
             }}\n   ]\n}}",
            "a".repeat(64)
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        let (kind, _) = list(&target, &[image("reg.example/a:1", OCI_MANIFEST)]).unwrap();
        assert_eq!(kind, OCI_INDEX);
        let elsewhere = list(&target, &[image("other.example/a:1", OCI_MANIFEST)]);
        assert_eq!(
            elsewhere.unwrap_err().message,
            "cannot use source images from a different registry than the target image: \
             other.example != reg.example"
        );
    }

    #[test]
    fn an_image_is_kept_as_docker_does() {
        let kept = image("reg.example/a:1", DOCKER_MANIFEST);
        let text = serde_json::to_string(&kept).unwrap();
        assert!(
            text.starts_with(r#"{"Ref":"reg.example/a:1","Descriptor":{"mediaType":"#),
            "{text}"
        );
        let back: ImageManifest = serde_json::from_str(&text).unwrap();
        assert_eq!(back.bytes().unwrap(), kept.bytes().unwrap());
    }

    #[test]
    fn platforms_are_those_docker_knows() {
        assert!(is_known("linux", "arm64") && is_known("windows", "amd64"));
        assert!(!is_known("linux", "nonsense") && !is_known("", "amd64"));
    }
}
