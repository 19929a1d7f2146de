//! A client's stream as the server reads it: the end of what a client says is no reason to drop what it asked.
//!
//! A client may close its half of the connection behind a request and wait for the answer (`nc -N`, `system dial-stdio`
//! fed from a pipe). hyper takes that end for a client that went away and drops the request. The two look alike, so the
//! end is held back while a request runs, for [`GRACE`]: long enough for an answer, short enough for `wait` and streams
//! not to outlive their clients.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::{Body, Stream};

/// How long a request may run on after the last byte of its client.
const GRACE: Duration = Duration::from_secs(2);

/// The requests of a connection whose answers are not sent yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(Arc<AtomicUsize>);

/// A request that runs, until it is dropped.
pub(crate) struct Running(Requests);

impl Requests {
    pub(crate) fn begin(&self) -> Running {
        self.0.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, and with it its request until all is sent.
pub(crate) struct Answering(
    Body,
    #[expect(dead_code, reason = "counts until dropped")] Running,
);

impl Running {
    /// Goes on until this body is sent.
    pub(crate) fn until_sent(self, body: Body) -> Answering {
        Answering(body, self)
    }
}

impl hyper::body::Body for Answering {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// The stream.
pub(crate) struct Patient {
    stream: Stream,
    requests: Requests,
    /// The client has said all; runs until that is told.
    ended: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    pub(crate) fn new(stream: Stream, requests: Requests) -> Self {
        Self {
            stream,
            requests,
            ended: None,
        }
    }

    /// The stream itself, for what takes the connection over.
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ended.is_none() {
            let before = buf.filled().len();
            let read = Pin::new(&mut this.stream).poll_read(cx, buf);
            let ended = matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before;
            if !ended || buf.remaining() == 0 || !this.requests.any() {
                return read;
            }
        }
        let sleep = this
            .ended
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(GRACE)));
        if this.requests.any() && sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Patient {
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
