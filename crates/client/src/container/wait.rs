//! `POST /containers/{id}/wait`.

use onggi_api::container::{WaitCondition, WaitResponse};

use crate::{Client, Response, Result, Version};

impl Client {
    /// Begins to wait. When this returns the daemon watches; the answer's body is a [`WaitResponse`] and comes when it is
    /// over.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container.
    pub async fn container_wait(&self, id: &str, condition: WaitCondition) -> Result<Response> {
        let known = self.version().await? >= Version(1, 30);
        let condition =
            (known && condition != WaitCondition::NotRunning).then(|| condition.as_str());
        self.post(&format!("/containers/{id}/wait"))
            .query_some("condition", condition)
            .send()
            .await
    }

    /// Waits until the container does not run.
    ///
    /// # Errors
    /// As [`Client::container_wait`].
    pub async fn container_wait_exit(&self, id: &str) -> Result<WaitResponse> {
        self.container_wait(id, WaitCondition::NotRunning)
            .await?
            .json()
            .await
    }
}
