//! All tags of a repository, one after the other.

use onggi_model::{ImageRef, Platform};
use onggi_registry::Auth;

use crate::images::{Images, reserved};
use crate::progress::Progress;
use crate::pull::status;
use crate::{Error, Pulled};

impl Images {
    /// Pulls everything that a repository has a tag for. The first failure ends it; what came before stays.
    ///
    /// # Errors
    /// As of [`Images::pull`].
    pub async fn pull_all(
        &self,
        repository: &ImageRef,
        platform: Option<Platform>,
        auth: &Auth,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Vec<Pulled>, Error> {
        reserved(repository)?;
        let repository = repository.repository();
        let mut pulled = Vec::new();
        for tag in self.inner.registry.tags(&repository, auth).await? {
            let reference = repository.with_tag(&tag)?;
            let one = self.pull_one(&reference, platform.clone(), auth, &progress);
            pulled.push(one.await?);
        }
        let newer = pulled.iter().any(|one| one.newer);
        status(&repository, newer, &progress);
        Ok(pulled)
    }
}
