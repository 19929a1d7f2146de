//! `GET /events`.

use onggi_model::Filters;

use crate::{Client, Result, Values};

/// Which events to see.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// From this time on, in seconds since the epoch; empty for now.
    pub since: String,
    /// Up to this time, in seconds since the epoch; empty for ever.
    pub until: String,
    /// Only those that fit.
    pub filters: Filters,
}

impl Client {
    /// Events as they happen.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for times or filters the daemon does not understand.
    pub async fn events(&self, events: &Events) -> Result<Values> {
        let filters = (!events.filters.is_empty()).then(|| events.filters.to_json());
        let request = self
            .get("/events")
            .query_some("filters", filters)
            .query_some("since", Some(events.since.as_str()))
            .query_some("until", Some(events.until.as_str()));
        Ok(request.send().await?.values())
    }
}
