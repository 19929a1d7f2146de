//! `POST /auth`.

use onggi_api::auth::{AuthConfig, LoginReply};

use crate::{Client, Result};

impl Client {
    /// Tries a login at its registry.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 401 when the registry refuses it.
    pub async fn login(&self, auth: &AuthConfig) -> Result<LoginReply> {
        self.post("/auth").json(auth)?.send().await?.json().await
    }
}
