//! `POST /volumes/prune`.

use onggi_api::volume::PruneReport;
use onggi_model::Filters;

use crate::{Client, Result};

impl Client {
    /// Removes the volumes that nobody uses and that fit.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for filters the daemon does not know.
    pub async fn volume_prune(&self, filters: &Filters) -> Result<PruneReport> {
        let filters = (!filters.is_empty()).then(|| filters.to_json());
        self.post("/volumes/prune")
            .query_some("filters", filters)
            .send()
            .await?
            .json()
            .await
    }
}
