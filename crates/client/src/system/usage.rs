//! `GET /system/df`, and removing what nobody uses: `POST /containers/prune` and its like.

use onggi_model::Filters;

use crate::{Client, Result};

impl Client {
    /// What takes how much room, with every single thing, in the daemon's own words.
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub async fn disk_usage(&self) -> Result<serde_json::Value> {
        self.get("/system/df")
            .query("verbose", "1")
            .send()
            .await?
            .json()
            .await
    }

    /// Removes what nobody uses of a collection (`containers`, `networks`, `volumes`, `images`, `build`).
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for a filter it does not know, or a kind it does not have.
    pub async fn prune(
        &self,
        collection: &str,
        filters: &Filters,
        all: bool,
    ) -> Result<serde_json::Value> {
        let filters = (!filters.is_empty()).then(|| filters.to_json());
        self.post(&format!("/{collection}/prune"))
            .query_some("filters", filters)
            .query_on("all", all)
            .send()
            .await?
            .json()
            .await
    }
}
