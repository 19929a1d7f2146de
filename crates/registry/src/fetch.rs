//! What a registry itself has under a name, whatever mirrors may say.

use onggi_model::ImageRef;

use crate::auth::Auth;
use crate::client::{Client, Resolved, Source, no_host};
use crate::endpoint;
use crate::error::Error;

impl Client {
    /// Fetches manifest or index of a reference from its registry. Mirrors are not asked.
    ///
    /// # Errors
    /// In the registry's own words and with its status.
    pub async fn fetch(&self, reference: &ImageRef, auth: &Auth) -> Result<Resolved, Error> {
        let transport = self.transport();
        let origin = endpoint::origin(&transport.checked, reference, auth)
            .await
            .map_err(|_| no_host(reference))?;
        let source = Source {
            transport,
            endpoints: [origin.clone()].into(),
            reference: reference.clone(),
        };
        let name = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let document = source
            .get(&origin, &name, reference.digest())
            .await
            .map_err(Error::into_answered)?;
        Ok(Resolved {
            digest: document.digest.clone(),
            source,
            document: Some(document),
        })
    }
}
