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
        let filters = (!filters.is_empty()).then(|| filters.to_json());
        self.get("/images/json")
            .query_on("all", all)
            .query_some("filters", filters)
            .send()
            .await?
            .json()
            .await
    }
}
