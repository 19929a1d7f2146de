//! `GET /images/json`.

use onggi_api::image::Summary;
use onggi_model::Filters;

use crate::{Client, Result};

impl Client {
    /// Images, the newest first; `all` includes those that only others are made of.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for filters the daemon does not know.
    pub async fn image_list(&self, all: bool, filters: &Filters) -> Result<Vec<Summary>> {
        self.image_list_with(all, filters, false).await
    }

    /// As [`Client::image_list`], with the manifests of each where they are asked for.
    ///
    /// # Errors
    /// As [`Client::image_list`].
    pub async fn image_list_with(
        &self,
        all: bool,
        filters: &Filters,
        manifests: bool,
    ) -> Result<Vec<Summary>> {
        let filters = (!filters.is_empty()).then(|| filters.to_json());
        self.get("/images/json")
            .query_on("all", all)
            .query_some("filters", filters)
            .query_on("manifests", manifests)
            .send()
            .await?
            .json()
            .await
    }
}
