//! `GET /containers/{id}/logs`.

use crate::{Client, Response, Result};

/// How much of a log to read.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Stay, and pass on what comes.
    pub follow: bool,
    /// With the time of each line.
    pub timestamps: bool,
    /// With the attributes of each line.
    pub details: bool,
    /// From this time on, in seconds since the epoch.
    pub since: String,
    /// Up to this time, in seconds since the epoch.
    pub until: String,
    /// So many lines from the end, or `all`.
    pub tail: String,
}

impl Client {
    /// What a container wrote: framed, or raw when it has a terminal.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, or its log cannot be read.
    pub async fn container_logs(&self, id: &str, logs: &Logs) -> Result<Response> {
        self.get(&format!("/containers/{id}/logs"))
            .query_on("details", logs.details)
            .query_on("follow", logs.follow)
            .query_some("since", Some(logs.since.as_str()))
            .query("stderr", "1")
            .query("stdout", "1")
            .query_some("tail", Some(logs.tail.as_str()))
            .query_on("timestamps", logs.timestamps)
            .query_some("until", Some(logs.until.as_str()))
            .send()
            .await
    }
}
