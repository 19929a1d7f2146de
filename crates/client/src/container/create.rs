//! `POST /containers/create`.

use onggi_api::container::{CreateRequest, CreateResponse};

use crate::{Client, Result};

/// A container to make.
#[derive(Debug, Clone, Default)]
pub struct Create {
    /// Its name; the daemon makes one up where this is empty.
    pub name: String,
    /// The platform of its image; empty for the daemon's choice.
    pub platform: String,
    /// What it is made of.
    pub request: CreateRequest,
}

impl Client {
    /// Makes a container.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 for an unknown image, 409 for a taken name, 400 for what cannot be.
    pub async fn container_create(&self, create: &Create) -> Result<CreateResponse> {
        self.post("/containers/create")
            .query_some("name", Some(create.name.as_str()))
            .query_some("platform", Some(create.platform.as_str()))
            .json(&create.request)?
            .send()
            .await?
            .json()
            .await
    }
}
