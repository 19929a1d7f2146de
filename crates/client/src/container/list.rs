//! `GET /containers/json`.

use onggi_api::container::Summary;
use onggi_model::Filters;

use crate::{Client, Result};

/// Which containers to list.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Those that do not run, too.
    pub all: bool,
    /// Only the newest so many; negative for all.
    pub limit: i64,
    /// With sizes, which cost the daemon time.
    pub size: bool,
    /// Only those that fit.
    pub filters: Filters,
}

impl Client {
    /// Containers, the newest first.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for filters the daemon does not know.
    pub async fn container_list(&self, list: &List) -> Result<Vec<Summary>> {
        let limit = (list.limit > 0).then(|| list.limit.to_string());
        let filters = (!list.filters.is_empty()).then(|| list.filters.to_json());
        self.get("/containers/json")
            .query_on("all", list.all)
            .query_some("limit", limit)
            .query_on("size", list.size)
            .query_some("filters", filters)
            .send()
            .await?
            .json()
            .await
    }
}
