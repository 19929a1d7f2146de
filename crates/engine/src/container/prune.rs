//! `container prune`: every container that does not run and fits goes.

use std::collections::BTreeMap;

use onggi_api::container::{PruneResponse, RemoveOptions};
use onggi_model::{Filters, Timestamp};

use super::Record;
use super::record::Status;
use crate::Engine;
use crate::error::{Error, Result};

/// The filters of pruning.
const FILTERS: [&str; 3] = ["label", "label!", "until"];

impl Engine {
    /// Removes the containers that do not run, and says what that freed.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist or is no time; `Conflict` while another prune is at work.
    pub async fn container_prune(&self, filters: &Filters) -> Result<PruneResponse> {
        filters.check(&FILTERS).map_err(|fault| Error::of(&fault))?;
        let until = until(filters, Timestamp::now())?;
        let Ok(_alone) = self.inner.pruning.try_lock() else {
            return Err(Error::conflict("a prune operation is already running"));
        };
        let mut freed = 0_u64;
        let mut gone = Vec::new();
        for container in self.inner.containers.all() {
            let record = container.record();
            if !is_idle(&record) || !fits(&record, filters, until) {
                continue;
            }
            let size = self.sizes(&record).await.map_or(0, |(own, _)| own);
            // One that was started or removed meanwhile is not ours to remove.
            if self
                .remove(&container, RemoveOptions::default())
                .await
                .is_ok()
            {
                freed = freed.saturating_add(u64::try_from(size).unwrap_or(0));
                gone.push(container.id.to_string());
            }
        }
        let reclaimed = BTreeMap::from([("reclaimed".to_owned(), freed.to_string())]);
        self.inner
            .events
            .publish("container", "prune", "", reclaimed);
        Ok(PruneResponse {
            containers_deleted: (!gone.is_empty()).then_some(gone),
            space_reclaimed: freed,
        })
    }
}

fn is_idle(record: &Record) -> bool {
    // What a step of a build wrote is about to be packed.
    !record.is_step
        && matches!(
            record.state.status,
            Status::Created | Status::Exited | Status::Dead
        )
}

fn fits(record: &Record, filters: &Filters, until: Option<Timestamp>) -> bool {
    let labels = record.config.labels.as_ref();
    let has = |key: &str| labels?.get(key).map(String::as_str);
    until.is_none_or(|until| record.created <= until)
        && filters.labels("label", has)
        && (!filters.contains("label!") || !filters.labels("label!", has))
}

/// `until`, which is a time or how long ago.
pub(crate) fn until(filters: &Filters, now: Timestamp) -> Result<Option<Timestamp>> {
    let mut values = filters.values("until");
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Error::invalid("more than one until filter specified")),
        (Some(text), None) => Timestamp::parse_relative(text, now)
            .map(Some)
            .map_err(|fault| Error::of(&fault)),
    }
}
