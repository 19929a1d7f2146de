//! `GET /networks`.

use onggi_api::network::Summary;
use onggi_model::Filters;

use crate::{Client, Result};

impl Client {
    /// The networks that fit.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for filters the daemon does not know.
    pub async fn network_list(&self, filters: &Filters) -> Result<Vec<Summary>> {
        let filters = (!filters.is_empty()).then(|| filters.to_json());
        self.get("/networks")
            .query_some("filters", filters)
            .send()
            .await?
            .json()
            .await
    }
}
