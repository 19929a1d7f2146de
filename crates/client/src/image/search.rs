//! `GET /images/search`.

use onggi_api::registry::SearchResult;
use onggi_model::Filters;

use crate::{Client, Result};

impl Client {
    /// Repositories that a registry finds by a word; `limit` 0 for the daemon's own. `auth` is the login as the header
    /// wants it, or empty.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the registry cannot be searched.
    pub async fn image_search(
        &self,
        term: &str,
        limit: i64,
        filters: &Filters,
        auth: &str,
    ) -> Result<Vec<SearchResult>> {
        let filters = (!filters.is_empty()).then(|| filters.to_json());
        let limit = (limit > 0).then(|| limit.to_string());
        let mut request = self
            .get("/images/search")
            .query("term", term)
            .query_some("limit", limit)
            .query_some("filters", filters);
        if !auth.is_empty() {
            request = request.header("X-Registry-Auth", auth);
        }
        request.send().await?.json().await
    }
}
