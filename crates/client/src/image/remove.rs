//! `DELETE /images/{name}`.

use onggi_api::image::DeleteItem;

use crate::{Client, Result};

/// How to remove an image.
#[derive(Debug, Clone, Default)]
pub struct Remove {
    /// Though containers that do not run use it, or it has several names.
    pub force: bool,
    /// Keep parents that have no name.
    pub no_prune: bool,
    /// Only these platforms, each as the API's JSON.
    pub platforms: Vec<String>,
}

impl Client {
    /// Removes a name of an image, and the image with its last one.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none, 409 when it is in use.
    pub async fn image_remove(&self, name: &str, remove: &Remove) -> Result<Vec<DeleteItem>> {
        let mut request = self
            .delete(&format!("/images/{name}"))
            .query_on("force", remove.force)
            .query_on("noprune", remove.no_prune);
        for platform in &remove.platforms {
            request = request.query("platforms", platform);
        }
        request.send().await?.json().await
    }
}
