//! The loop: accept, serve, and stop gracefully.
//!
//! Each connection is a task. A request's future is dropped when its client goes away; what must not stop then
//! is run as a task by the handler. hyper speaks HTTP until an answer takes the connection over (`hijack`).

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use onggi_rt::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;

use crate::hijack::{Hijacked, Takeover, head_of};
use crate::listen::Accepted;
use crate::patient::{Patient, Requests};
use crate::{Listener, Request, Response, Stream};

/// How long a client may take between its requests or for the head of one.
const HEAD: Duration = Duration::from_secs(5 * 60);
/// The pause after a failure to accept, which is a lack of descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);

/// Who sent a request. In the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine, as the kernel saw it connect.
    Unix {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
        /// Process, where known.
        pid: Option<i32>,
    },
    /// Somebody on the network.
    Tcp(SocketAddr),
}

/// What clients of a listener may not exceed. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Limits {
    head: Duration,
    connections: Option<Arc<Semaphore>>,
}

impl Limits {
    /// So long for the head of a request and between requests; so many connections at once, the next one waits.
    pub fn new(head: Duration, connections: usize) -> Self {
        Self {
            head,
            connections: Some(Arc::new(Semaphore::new(connections))),
        }
    }
}

impl Default for Limits {
    /// Five minutes, and as many connections as come.
    fn default() -> Self {
        Self {
            head: HEAD,
            connections: None,
        }
    }
}

/// As [`serve_within`], with the usual limits.
pub async fn serve<H, Fut>(listener: Listener, handler: H, shutdown: Shutdown, patience: Duration)
where
    H: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    serve_within(listener, handler, shutdown, patience, Limits::default()).await;
}

/// Serves connections until `shutdown`; then accepts no more, lets requests that run end, cuts connections that
/// were taken over, and returns when all are gone or after `patience`.
pub async fn serve_within<H, Fut>(
    listener: Listener,
    handler: H,
    shutdown: Shutdown,
    patience: Duration,
    limits: Limits,
) where
    H: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener, &limits) => accepted,
            () = shutdown.wait() => break,
        };
        match accepted {
            Ok((accepted, permit)) => {
                let (handler, shutdown) = (handler.clone(), shutdown.clone());
                let head = limits.head;
                connections.spawn(onggi_rt::spawn("connection", async move {
                    connection(accepted, handler, shutdown, head).await;
                    drop(permit);
                }));
            }
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    // The file goes first: clients that look for the daemon see that it is not there.
    drop(listener);
    connections.close();
    let _ = tokio::time::timeout(patience, connections.wait()).await;
}

/// The next connection, when there is room for it.
async fn next(
    listener: &Listener,
    limits: &Limits,
) -> std::io::Result<(Accepted, Option<OwnedSemaphorePermit>)> {
    let accepted = listener.accept().await?;
    let permit = match &limits.connections {
        // Nobody closes it.
        Some(connections) => connections.clone().acquire_owned().await.ok(),
        None => None,
    };
    Ok((accepted, permit))
}

/// Whether accepting failed for a reason of the connection's, not ours (accept(2)).
fn is_of_connection(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::Interrupted
    )
}

async fn connection<H, Fut>(accepted: Accepted, handler: H, shutdown: Shutdown, head: Duration)
where
    H: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let peer = accepted.peer;
    let stream = tokio::select! {
        stream = accepted.finish() => stream,
        () = shutdown.wait() => return,
    };
    match stream {
        Ok(stream) => speak(stream, peer, handler, shutdown, head).await,
        Err(error) => tracing::debug!(%error, ?peer, "TLS handshake"),
    }
}

/// Ends a connection so that the peer gets the whole answer: while a body that nobody asked for is still coming, closing
/// would reset it.
async fn close(mut stream: Stream) {
    const LONGEST: Duration = Duration::from_millis(500);
    const MOST: u64 = 256 * 1024;
    if stream.shutdown().await.is_ok() {
        let rest = &mut stream.take(MOST);
        let _ = tokio::time::timeout(LONGEST, tokio::io::copy(rest, &mut tokio::io::sink())).await;
    }
}

/// What an answer wants done with the connection: the bytes of its head, and what runs then.
struct Taken {
    head: Vec<u8>,
    takeover: Takeover,
}

async fn speak<H, Fut>(stream: Stream, peer: Peer, handler: H, shutdown: Shutdown, head: Duration)
where
    H: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let (send, mut taken) = oneshot::channel::<Taken>();
    let send = Arc::new(Mutex::new(Some(send)));
    let requests = Requests::default();
    let service = service_fn(|mut request: Request| {
        request.extensions_mut().insert(peer);
        let running = requests.begin();
        let answer = handler(request);
        let send = send.clone();
        // Boxed, because hyper must not care where it lies.
        Box::pin(async move {
            let response = answer.await;
            let Some(takeover) = response.extensions().get::<Takeover>().cloned() else {
                return Ok::<_, Infallible>(response.map(|body| running.until_sent(body)));
            };
            let taken = Taken {
                head: head_of(&response),
                takeover,
            };
            let send = send.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(send) = send {
                let _ = send.send(taken);
            }
            // The loop below takes the connection away from hyper, and this future with it.
            std::future::pending().await
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .title_case_headers(true)
        .serve_connection(
            TokioIo::new(Patient::new(stream, requests.clone())),
            service,
        );
    let mut leaving = false;
    let taken = loop {
        tokio::select! {
            biased;
            result = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                match result {
                    Ok(()) => {
                        close(connection.into_parts().io.into_inner().into_stream()).await;
                    }
                    Err(error) => tracing::debug!(error = onggi_model::chain(&error), "connection"),
                }
                return;
            }
            taken = &mut taken => match taken {
                Ok(taken) => break taken,
                // Cannot be: the sender lives in the service.
                Err(_) => return,
            },
            () = shutdown.wait(), if !leaving => {
                leaving = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner().into_stream();
    let Some(run) = taken.takeover.take() else {
        return;
    };
    if let Err(error) = stream.write_all(&taken.head).await {
        return tracing::debug!(%error, "head of a connection that is taken over");
    }
    if let Err(error) = stream.flush().await {
        return tracing::debug!(%error, "head of a connection that is taken over");
    }
    tokio::select! {
        () = run(Hijacked::new(parts.read_buf, stream)) => {}
        () = shutdown.wait() => {}
    }
}
