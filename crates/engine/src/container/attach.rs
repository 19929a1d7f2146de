//! `attach`: a client's streams tied to the container's.
//!
//! The bytes go straight from the monitor to the client and back; here is only who waits for whom. An attach
//! to a container that does not run yet waits for its start, and misses nothing.

use std::sync::Arc;

use onggi_api::container::{AttachOptions, LogsOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;

use super::{Container, Status};
use crate::Engine;
use crate::detach::{Keys, Typed, Watch};
use crate::error::{Error, Result};
use crate::task::{Stream, Task};

/// An attach that was found possible and has not begun.
pub struct Attach {
    /// Whether the bytes are a terminal's; else they come in frames.
    pub tty: bool,
    engine: Engine,
    container: Arc<Container>,
    options: AttachOptions,
    keys: Keys,
    source: Source,
}

/// Where the streams are, or will be.
enum Source {
    Running(Arc<Task>),
    Coming(oneshot::Receiver<Stream>),
    /// Only the log was asked for.
    Nowhere,
}

impl Engine {
    /// Prepares an attach; from here on nothing that the container writes is missed.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a paused or restarting container; `InvalidParameter` for bad detach keys.
    pub async fn container_attach(&self, id: &str, options: AttachOptions) -> Result<Attach> {
        let keys = Keys::parse(options.detach_keys.as_deref().unwrap_or_default())?;
        let container = self.inner.containers.find(id)?;
        let record = container.record();
        let id = &container.id;
        match record.state.status {
            Status::Paused => {
                return Err(Error::conflict(format!(
                    "container {id} is paused, unpause the container before attach"
                )));
            }
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "container {id} is restarting, wait until the container is running"
                )));
            }
            _ => {}
        }
        let source = match container.task() {
            _ if !options.stream => Source::Nowhere,
            Some(task) => Source::Running(task),
            None => Source::Coming(container.attach_at_start(&options)),
        };
        let tty = record.config.tty;
        Ok(Attach {
            tty,
            engine: self.clone(),
            container,
            options,
            keys,
            source,
        })
    }
}

impl Attach {
    /// Carries bytes between `client` and the container until one of them is done.
    pub async fn run(self, mut client: impl AsyncRead + AsyncWrite + Send + Unpin) {
        if self.options.logs && self.replay(&mut client).await.is_err() {
            return;
        }
        let AttachOptions {
            stdin,
            stdout,
            stderr,
            ..
        } = self.options;
        let stream = match self.source {
            Source::Running(task) => task.attach(stdin, stdout, stderr).await.ok(),
            Source::Coming(stream) => stream.await.ok(),
            Source::Nowhere => None,
        };
        let Some(stream) = stream else {
            // It ended or was never started: so does the client's stream.
            let _ = client.shutdown().await;
            return;
        };
        self.engine
            .container_event(&self.container.record(), "attach", []);
        let watch = (self.tty && stdin).then(|| Watch::new(self.keys));
        let _relaying = self.container.relaying();
        if relay(client, stream, watch, std::future::ready(())).await == Ended::Detached {
            self.engine
                .container_event(&self.container.record(), "detach", []);
        }
    }

    async fn replay(&self, client: &mut (impl AsyncWrite + Unpin)) -> Result<()> {
        let options = LogsOptions {
            stdout: self.options.stdout,
            stderr: self.options.stderr,
            ..Default::default()
        };
        let mut log = self
            .engine
            .container_logs(self.container.id.as_str(), options)
            .await?;
        while let Some(chunk) = log.chunks.recv().await {
            client
                .write_all(&chunk)
                .await
                .map_err(|e| Error::io("write to the client", e))?;
        }
        Ok(())
    }
}

/// How a relay ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The container closed its streams, or the client left.
    Closed,
    /// The client typed the detach keys.
    Detached,
}

/// Copies both ways. The end of the client's input closes the container's; the end of the container's output
/// ends the relay, once `settled` is ready.
pub(crate) async fn relay(
    client: impl AsyncRead + AsyncWrite + Send + Unpin,
    stream: Stream,
    mut watch: Option<Watch>,
    settled: impl Future<Output = ()>,
) -> Ended {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_container, mut to_container) = stream.socket.into_split();
    let input = async {
        let mut buffer = vec![0; 4096];
        loop {
            let count = match from_client.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            let (bytes, detach) = match watch.as_mut().map(|watch| watch.push(&buffer[..count])) {
                None => (buffer[..count].to_vec(), false),
                Some(Typed::Pass(bytes)) => (bytes, false),
                Some(Typed::Detach(bytes)) => (bytes, true),
            };
            if to_container.write_all(&bytes).await.is_err() {
                break;
            }
            if detach {
                return Ended::Detached;
            }
        }
        // SHUT_WR: no more input. Output goes on.
        let _ = to_container.shutdown().await;
        std::future::pending().await
    };
    let output = async {
        if to_client.write_all(&stream.begin).await.is_err() {
            return Ended::Closed;
        }
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match from_container.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    if to_client.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            }
        }
        settled.await;
        Ended::Closed
    };
    let ended = tokio::select! {
        ended = output => ended,
        ended = input => ended,
    };
    let _ = to_client.shutdown().await;
    ended
}
