//! `GET /volumes`.

use onggi_api::volume::List;
use onggi_model::Filters;

use crate::{Client, Result};

impl Client {
    /// The volumes that fit.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for filters the daemon does not know.
    pub async fn volume_list(&self, filters: &Filters) -> Result<List> {
        let filters = (!filters.is_empty()).then(|| filters.to_json());
        self.get("/volumes")
            .query_some("filters", filters)
            .send()
            .await?
            .json()
            .await
    }
}
