//! `GET /networks/{id}`, `GET /volumes/{name}` and their like: any object by kind and name.

use crate::{Client, Result};

impl Client {
    /// An object of the collection (`networks`, `volumes`, ...), in the daemon's own words and order.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such object, or the daemon has no such kind.
    pub async fn object(&self, collection: &str, name: &str) -> Result<serde_json::Value> {
        self.get(&format!("/{collection}/{name}"))
            .send()
            .await?
            .json()
            .await
    }

    /// Every object of the collection, in the daemon's own words and order.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the daemon has no such kind.
    pub async fn objects(&self, collection: &str) -> Result<serde_json::Value> {
        self.get(&format!("/{collection}"))
            .send()
            .await?
            .json()
            .await
    }
}
