//! `POST /exec/{id}/start`.

use onggi_api::exec::StartRequest;

use crate::{Client, Hijacked, Result};

impl Client {
    /// Starts a prepared process in the background.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when it cannot be started.
    pub async fn exec_start(&self, id: &str, request: &StartRequest) -> Result<()> {
        self.post(&format!("/exec/{id}/start"))
            .json(request)?
            .done()
            .await
            .map(drop)
    }

    /// Starts a prepared process and takes a connection to its streams.
    ///
    /// # Errors
    /// As [`Client::exec_start`].
    pub async fn exec_attach(&self, id: &str, request: &StartRequest) -> Result<Hijacked> {
        self.post(&format!("/exec/{id}/start"))
            .json(request)?
            .hijack()
            .await
    }
}
