//! Connections that stop being HTTP: attach and exec.
//!
//! A handler answers with [`hijack`]; the loop that serves the connection then takes it away from hyper, writes
//! the head of the answer and gives the raw stream to the handler's closure. With `Upgrade` in the request the
//! head is `101 UPGRADED`, without it a plain `200 OK`: both are what dockerd does, and hyper alone can only do
//! the first. What the client sent ahead of the answer is kept.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Response, Stream, body};

type Run = Box<dyn FnOnce(Hijacked) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// In the extensions of an answer that takes the connection over.
#[derive(Clone)]
pub(crate) struct Takeover(Arc<Mutex<Option<Run>>>);

impl Takeover {
    pub(crate) fn take(&self) -> Option<Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has `run` take the connection over once the head of `response` is written.
    pub(crate) fn put<F, Fut>(response: &mut Response, run: F)
    where
        F: FnOnce(Hijacked) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let run: Run = Box::new(move |connection| Box::pin(run(connection)));
        let takeover = Self(Arc::new(Mutex::new(Some(run))));
        response.extensions_mut().insert(takeover);
    }
}

/// The raw connection: bytes as they come, those first that had come already. The end of the peer's writing is
/// the end of reading here; writing goes on.
#[derive(Debug)]
pub struct Hijacked {
    ahead: Bytes,
    stream: Stream,
}

impl Hijacked {
    pub(crate) fn new(ahead: Bytes, stream: Stream) -> Self {
        Self { ahead, stream }
    }

    /// Waits until the peer has read all that was written so far: some clients read the head of an answer through a
    /// buffer and the stream past it, and lose what came together with the head. Over the network nobody can tell;
    /// there it is a pause.
    pub async fn until_read(&self) {
        const PAUSE: Duration = Duration::from_millis(10);
        const LONGEST: Duration = Duration::from_secs(10);
        let Stream::Unix(socket) = &self.stream else {
            return tokio::time::sleep(PAUSE).await;
        };
        let read = async {
            let mut pause = Duration::from_micros(100);
            while onggi_sys::socket::unread_by_peer(socket.as_fd()).is_ok_and(|bytes| bytes > 0) {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE);
            }
        };
        // Who does not read at all is not waited for.
        let _ = tokio::time::timeout(LONGEST, read).await;
    }
}

impl AsyncRead for Hijacked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Hijacked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The answer that takes the connection over: `101 UPGRADED` if the request asked for `Upgrade: tcp`, else
/// `200 OK`. `run` gets the raw connection after the head is written; it is not run if the client is gone.
pub fn hijack<F, Fut>(request: &HeaderMap, content_type: &'static str, run: F) -> Response
where
    F: FnOnce(Hijacked) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let upgrade = request.contains_key(UPGRADE).then_some("tcp");
    hijack_as(upgrade, content_type, run)
}

/// As [`hijack`], with the protocol that is upgraded to given: `None` for a plain `200 OK`.
pub fn hijack_as<F, Fut>(
    upgrade: Option<&'static str>,
    content_type: &'static str,
    run: F,
) -> Response
where
    F: FnOnce(Hijacked) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut response = Response::new(body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(protocol));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
            .extensions_mut()
            .insert(ReasonPhrase::from_static(b"UPGRADED"));
    }
    Takeover::put(&mut response, run);
    response
}

/// The head of an answer, as bytes.
pub(crate) fn head_of(response: &Response) -> Vec<u8> {
    let status = response.status();
    let reason = response.extensions().get::<ReasonPhrase>();
    let reason = reason.map_or(status.canonical_reason().unwrap_or("").as_bytes(), |r| {
        r.as_bytes()
    });
    let mut head = format!("HTTP/1.1 {} ", status.as_u16()).into_bytes();
    head.extend_from_slice(reason);
    head.extend_from_slice(b"\r\n");
    for (name, value) in response.headers() {
        // Names as Go writes them: some clients of old compare the case.
        let mut start = true;
        for byte in name.as_str().bytes() {
            head.push(if start {
                byte.to_ascii_uppercase()
            } else {
                byte
            });
            start = byte == b'-';
        }
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
