//! What a registry has under a name, without fetching it: its descriptor and the platforms it is for.

use onggi_model::ImageRef;
use onggi_oci::image::{Descriptor, Parsed, Platform};

use crate::auth::Auth;
use crate::client::Client;
use crate::error::Error;

/// What a name stands for at its registry.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// What it is for: of an index all its entries, of an image what its configuration says.
    pub platforms: Vec<Platform>,
}

impl Client {
    /// Asks for manifest or index of a reference, and what platforms it is for.
    ///
    /// # Errors
    /// In the registry's own words and with its status.
    pub async fn inspect(&self, reference: &ImageRef, auth: &Auth) -> Result<Inspected, Error> {
        let resolved = self
            .resolve(reference, auth)
            .await
            .map_err(Error::into_answered)?;
        let document = resolved.document().await.map_err(Error::into_answered)?;
        let parsed = document.parse(reference)?;
        let descriptor = Descriptor::new(
            parsed.media_type(),
            document.digest.clone(),
            document.bytes.len() as u64,
        );
        let platforms = match parsed {
            Parsed::Index(index) => index
                .manifests
                .into_iter()
                .map(|entry| entry.platform.unwrap_or_default())
                .collect(),
            // Without a configuration that says it, nobody knows.
            Parsed::Manifest(manifest) => {
                let config = resolved
                    .source
                    .bytes(&manifest.config, "image config")
                    .await;
                let platform = config
                    .ok()
                    .and_then(|bytes| serde_json::from_slice::<Platform>(&bytes).ok());
                platform
                    .filter(|platform| {
                        !(platform.os.is_empty() && platform.architecture.is_empty())
                    })
                    .into_iter()
                    .collect()
            }
        };
        Ok(Inspected {
            descriptor,
            platforms,
        })
    }
}
