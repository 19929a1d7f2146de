//! `POST /networks/create`.

use onggi_api::network::{CreateRequest, CreateResponse};

use crate::{Client, Result, Version};

/// From here on the daemon refuses a name that exists without being asked to.
const ALWAYS_CHECKS: Version = Version(1, 44);

impl Client {
    /// Makes a network.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 409 for a name that exists, 400 for addresses that cannot be, 403 for names that are
    /// the daemon's own, 404 for drivers that are not there.
    pub async fn network_create(&self, mut request: CreateRequest) -> Result<CreateResponse> {
        if self.version().await? < ALWAYS_CHECKS {
            request.check_duplicate = Some(true);
        }
        self.post("/networks/create")
            .json(&request)?
            .send()
            .await?
            .json()
            .await
    }
}
