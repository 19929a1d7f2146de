//! What registries say about the images of lists, and what they are given.

use std::path::Path;

use onggi_model::{ImageRef, chain};
use onggi_registry::{Auth, Client, Config, Error as Refusal, Resolved};
use serde_json::Value;

use super::document::{DOCKER_MANIFEST, Descriptor, ImageManifest, OCI_MANIFEST, Platform};
use crate::Cli;
use crate::error::{Error, Result};
use crate::settings::credentials::server_of;

/// Where registries' certificates are.
const CERTIFICATES: [&str; 2] = ["/etc/onggi/certs.d", "/etc/docker/certs.d"];

/// A registry, as the one whose lists these are.
pub(super) struct Remote {
    pub(super) client: Client,
    pub(super) auth: Auth,
}

/// What a registry has under a name.
pub(super) enum Found {
    Image(Box<ImageManifest>),
    List(Vec<ImageManifest>),
}

impl Remote {
    pub(super) fn new(cli: &Cli, reference: &ImageRef, insecure: bool) -> Result<Remote> {
        let config = Config {
            insecure: match insecure {
                true => vec![reference.domain().to_owned()],
                false => Vec::new(),
            },
            certificates: CERTIFICATES.map(|path| Path::new(path).to_owned()).into(),
            user_agent: format!("Onggi-Client/{} (linux)", crate::VERSION),
            ..Config::default()
        };
        let client = Client::new(config).map_err(|error| Error::new(chain(&error)))?;
        let kept = cli
            .settings
            .file
            .credentials(server_of(reference.domain()))?;
        let auth = kept.map_or_else(Auth::anonymous, |kept| Auth {
            username: kept.username,
            password: kept.password,
            identity_token: kept.identity_token,
            registry_token: kept.registry_token,
        });
        Ok(Remote { client, auth })
    }

    /// What the registry has under a name.
    pub(super) async fn find(&self, reference: &ImageRef) -> Result<Found> {
        let refused = |error| said(reference, &error);
        let found = self
            .client
            .fetch(reference, &self.auth)
            .await
            .map_err(refused)?;
        let document = found.document().await.map_err(refused)?;
        let value: Value = serde_json::from_slice(&document.bytes)
            .map_err(|error| Error::new(format!("{reference}: {error}")))?;
        let Some(entries) = value["manifests"].as_array() else {
            let image = image(&found, reference, None, &document.bytes, &value).await?;
            return Ok(Found::Image(Box::new(image)));
        };
        let mut images = Vec::new();
        for entry in entries {
            let digest = entry["digest"].as_str().unwrap_or_default();
            let digest = digest
                .parse()
                .map_err(|_| Error::new(format!("{reference}: invalid digest {digest:?}")))?;
            let document = found.source.manifest(&digest).await.map_err(refused)?;
            let value: Value = serde_json::from_slice(&document.bytes)
                .map_err(|error| Error::new(format!("{reference}@{digest}: {error}")))?;
            let platform: Option<Platform> =
                serde_json::from_value(entry["platform"].clone()).unwrap_or_default();
            let platform = platform.unwrap_or_default();
            // Both tag and digest, as Docker names it.
            let name = super::reference(&format!("{}@{digest}", tagged(reference)))?;
            images.push(image(&found, &name, Some(platform), &document.bytes, &value).await?);
        }
        Ok(Found::List(images))
    }
}

/// A name without its digest.
fn tagged(reference: &ImageRef) -> ImageRef {
    let bare = reference.repository();
    let tagged = reference.tag().and_then(|tag| bare.with_tag(tag).ok());
    tagged.unwrap_or(bare)
}

/// An image as it is kept. Its platform is in its configuration where nobody says.
async fn image(
    found: &Resolved,
    reference: &ImageRef,
    platform: Option<Platform>,
    bytes: &[u8],
    value: &Value,
) -> Result<ImageManifest> {
    let media_type = match value["mediaType"].as_str() {
        Some(known @ (DOCKER_MANIFEST | OCI_MANIFEST)) => known,
        // OCI lets it out.
        None if value["config"].is_object() => OCI_MANIFEST,
        other => {
            let other = other.unwrap_or("none");
            return Err(Error::new(format!("unsupported manifest format: {other}")));
        }
    };
    let platform = match platform {
        Some(platform) => platform,
        None => {
            let config = serde_json::from_value(value["config"].clone())
                .map_err(|error| Error::new(format!("{reference}: config: {error}")))?;
            let bytes = found.source.bytes(&config, "image config").await;
            let bytes = bytes.map_err(|error| said(reference, &error))?;
            serde_json::from_slice(&bytes).unwrap_or_default()
        }
    };
    let digest = onggi_registry::digest(bytes);
    let descriptor = Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.to_string(),
        size: bytes.len() as u64,
        platform: Some(platform),
    };
    ImageManifest::new(reference, descriptor, bytes)
}

/// A registry's error as Docker's command line tells it.
pub(super) fn said(reference: &ImageRef, error: &Refusal) -> Error {
    let text = chain(error);
    match error {
        Refusal::Request { url, .. } if url.ends_with("/v2/") => Error::new(format!(
            "failed to configure transport: error pinging v2 registry: {text}"
        )),
        // What is not there and what may not be seen look the same.
        error if error.is_hidden() => Error::new(format!("no such manifest: {reference}")),
        _ => Error::new(text),
    }
}
