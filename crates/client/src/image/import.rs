//! `POST /images/create?fromSrc=`.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc::Receiver;

use crate::{Client, Result, Values};

/// A root file system to make an image of.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// A URL for the daemon to fetch, or `-` for the body.
    pub source: String,
    /// The name to give it, with its tag.
    pub repository: String,
    /// A comment.
    pub message: String,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// Its platform.
    pub platform: String,
}

impl Client {
    /// Makes an image of a tar stream; gives the messages of its progress.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for a bad name or instruction.
    pub async fn image_import(
        &self,
        import: &Import,
        body: Option<Receiver<io::Result<Bytes>>>,
    ) -> Result<Values> {
        let mut request = self.post("/images/create");
        for change in &import.changes {
            request = request.query("changes", change);
        }
        request = request
            .query("fromSrc", &import.source)
            .query_some("message", Some(import.message.as_str()))
            .query_some("platform", Some(import.platform.to_lowercase()))
            .query_some("repo", Some(import.repository.as_str()));
        if let Some(body) = body {
            request = request.stream("application/x-tar", body);
        }
        Ok(request.send().await?.values())
    }
}
