//! The API of a daemon, by its socket.

use crate::http::{Request, Response};
use crate::wait::{LIMIT, patience};
use anyhow::{Context, Result};
use serde_json::Value;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Where a daemon answers, or answered: it may be gone.
#[derive(Clone, Debug)]
pub struct Api {
    socket: PathBuf,
}

impl Api {
    /// Behind this socket.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the daemon does not answer; a status of failure is not an error.
    pub fn send(&self, request: &Request<'_>) -> Result<Response> {
        let stream = UnixStream::connect(&self.socket).context("connect to the daemon")?;
        stream.set_read_timeout(Some(LIMIT * patience()))?;
        request
            .send(stream)
            .with_context(|| format!("{} {}", request.method, request.path))
    }

    /// GET.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn get(&self, path: &str) -> Result<Response> {
        self.send(&Request::new("GET", path))
    }

    /// POST of a JSON document.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Response> {
        self.send(&Request::new("POST", path).json(body))
    }

    /// DELETE.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn delete(&self, path: &str) -> Result<Response> {
        self.send(&Request::new("DELETE", path))
    }
}
