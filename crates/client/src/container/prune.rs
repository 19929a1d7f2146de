//! `POST /containers/prune`.

use onggi_api::container::PruneResponse;
use onggi_model::Filters;

use crate::{Client, Result};

impl Client {
    /// Removes the containers that do not run and fit.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for filters the daemon does not know, or while another prune is at work.
    pub async fn container_prune(&self, filters: &Filters) -> Result<PruneResponse> {
        let filters = (!filters.is_empty()).then(|| filters.to_json());
        self.post("/containers/prune")
            .query_some("filters", filters)
            .send()
            .await?
            .json()
            .await
    }
}
