//! `POST /build` and `POST /build/prune`.

use std::io;

use bytes::Bytes;
use onggi_api::build::BuildRecord;
use tokio::sync::mpsc::Receiver;

use onggi_api::session::PROTOCOL;

use crate::client::Request;
use crate::{Client, Hijacked, Response, Result};

/// A build to ask for.
#[derive(Debug, Clone, Default)]
pub struct Build {
    /// The parameters, in the order they are sent.
    pub query: Vec<(&'static str, String)>,
    /// What the body is.
    pub media_type: &'static str,
    /// The logins, as the header `X-Registry-Config` wants them.
    pub registries: String,
}

impl Client {
    /// Builds an image. The body is the context, unless the daemon fetches it itself; the answer a stream of messages,
    /// which ends early with an error among them.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for parameters the daemon does not take.
    pub async fn build(
        &self,
        build: &Build,
        body: Option<Receiver<io::Result<Bytes>>>,
    ) -> Result<Response> {
        let request = self.build_request(build);
        let request = match body {
            Some(body) => request.stream(build.media_type, body),
            None => request.header("Content-Type", build.media_type),
        };
        request.send().await
    }

    /// Begins a build whose contexts are told on the connection, which becomes a session
    /// ([`onggi_api::session`]). Of our own daemon only.
    ///
    /// # Errors
    /// As [`Client::build`]; [`crate::Error::Answer`] from daemons that know no sessions.
    pub async fn build_session(&self, build: &Build) -> Result<Hijacked> {
        self.build_request(build).upgrade(PROTOCOL).await
    }

    fn build_request(&self, build: &Build) -> Request {
        let mut request = self.post("/build");
        for (name, value) in &build.query {
            request = request.query(name, value);
        }
        request.header("X-Registry-Config", &build.registries)
    }

    /// The builds that were done, the newest first. Our own daemon alone remembers them.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] where there is no such thing.
    pub async fn build_history(&self) -> Result<Vec<BuildRecord>> {
        self.get("/build/history").send().await?.json().await
    }

    /// One of them, by its id or the beginning of that.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] where there is none.
    pub async fn build_record(&self, id: &str) -> Result<BuildRecord> {
        let path = format!("/build/history/{id}");
        self.get(&path).send().await?.json().await
    }

    /// What it told step by step: messages.
    ///
    /// # Errors
    /// As [`Client::build_record`].
    pub async fn build_log(&self, id: &str) -> Result<Response> {
        let path = format!("/build/history/{id}/logs");
        self.get(&path).send().await
    }

    /// Forgets it.
    ///
    /// # Errors
    /// As [`Client::build_record`]; while it runs.
    pub async fn build_forget(&self, id: &str) -> Result<()> {
        let path = format!("/build/history/{id}");
        self.delete(&path).done().await.map(drop)
    }

    /// Removes from the cache of builds what nobody uses.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for a parameter or filter it does not know.
    pub async fn build_prune(&self, query: &[(&'static str, String)]) -> Result<serde_json::Value> {
        let mut request = self.post("/build/prune");
        for (name, value) in query {
            request = request.query(name, value);
        }
        request.send().await?.json().await
    }
}
