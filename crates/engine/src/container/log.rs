//! A container's log: where it is, who may read it, and who it is sent to.

use std::sync::Arc;
use std::time::Duration;

use onggi_model::ContainerId;
use tracing::warn;

use super::{Container, Record};
use crate::Engine;
use crate::error::Result;
use crate::log::options::{self, Log};
use crate::log::ship::{Job, cursor_path};
use crate::log::{Subject, driver};

/// How long a removal waits for lines on their way to a peer.
const LAST_LINES: Duration = Duration::from_secs(2);

impl Engine {
    /// Where and how the container's output is logged.
    pub(crate) fn log(&self, record: &Record) -> Result<Log> {
        let path = self.log_path(&record.id);
        options::read(&record.host_config.log_config, path, &Subject::of(record))
    }

    /// Sends the log on, where its driver does: from where it was, until the container ends.
    pub(crate) fn ship_log(&self, container: &Arc<Container>) {
        let record = container.record();
        let log = match self.log(&record) {
            Ok(log) => log,
            Err(fault) => return warn!(container = %container.id, "its log: {fault}"),
        };
        let Some(kind) = log.ships else { return };
        let options = record.host_config.log_config.config.clone();
        let sink = driver::sink(kind, &options.unwrap_or_default(), &Subject::of(&record));
        let records = container.subscribe();
        let started = sink.map_err(|fault| fault.to_string()).and_then(|sink| {
            let job = Job {
                id: container.id.clone(),
                record: log.record,
                cursor: cursor_path(&self.container_directory(&container.id)),
                sink,
                running: Box::new(move || records.borrow().state.is_active()),
            };
            let started = self.inner.shipping.start(job);
            started.map_err(|error| error.to_string())
        });
        if let Err(text) = started {
            warn!(container = %container.id, "its log is not sent: {text}");
        }
    }

    /// The container is removed: what is on its way arrives, or is given up.
    pub(crate) async fn finish_log(&self, id: &ContainerId) {
        if !self.inner.shipping.is_busy(id) {
            return;
        }
        let (shipping, id) = (self.inner.shipping.clone(), id.clone());
        // A thread that panicked has nothing on its way.
        let _ = onggi_rt::blocking("send the last lines of a log", move || {
            shipping.finish(&id, LAST_LINES);
        })
        .await;
    }
}
