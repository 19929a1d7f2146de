//! A client's stream as the server reads it: the end of what a client says is no reason to drop what it asked.
//!
//! A client may close its half of the connection behind a request and wait for the answer (`nc -N`, `system dial-stdio`
//! fed from a pipe). hyper takes that end for a client that went away and drops the request. The two look alike, so the
//! end is held back while a request runs, for [`GRACE`]: long enough for an answer, short enough for `wait` and streams
//! not to outlive their clients.
//!
//! On a unix socket they do not look alike: the kernel tells of a peer that closed both halves. Whoever went like that
//! while it was being answered is gone at once. Before the answer it may have sent a request and no more wanted to know.

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
pub(crate) struct Requests(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Those that have no answer yet.
    asked: AtomicUsize,
    /// Those whose answers are being sent.
    answered: AtomicUsize,
}

/// A request that runs, until it is dropped.
pub(crate) struct Running(Requests);

impl Requests {
    pub(crate) fn begin(&self) -> Running {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    fn any(&self) -> bool {
        self.any_asked() || self.0.answered.load(Ordering::Relaxed) > 0
    }

    fn any_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, and with it its request until all is sent.
pub(crate) struct Answering(Body, Requests);

impl Running {
    /// Goes on until this body is sent.
    pub(crate) fn until_sent(self, body: Body) -> Answering {
        self.0.0.answered.fetch_add(1, Ordering::Relaxed);
        Answering(body, self.0.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.1.0.answered.fetch_sub(1, Ordering::Relaxed);
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
            if !this.requests.any_asked() && this.stream.is_hung_up() {
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

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;

    /// Whether the end of what a client says is told at once, while it is being answered or before.
    async fn is_told(is_answered: bool, client: UnixStream, server: UnixStream) -> bool {
        let requests = Requests::default();
        let request = requests.begin();
        let (mut asked, mut answered) = (Some(request), None);
        if is_answered {
            let request = asked.take().unwrap();
            answered = Some(request.until_sent(crate::body::empty()));
        }
        server.readable().await.unwrap();
        let mut patient = Patient::new(Stream::Unix(server), requests);
        let told = poll!(std::pin::pin!(patient.read(&mut [0; 8]))).is_ready();
        drop((client, asked, answered));
        told
    }

    #[tokio::test]
    async fn who_goes_while_being_answered_is_gone_at_once() {
        for (is_answered, is_gone, expected) in [
            (true, true, true),
            (true, false, false),
            (false, true, false),
            (false, false, false),
        ] {
            let (server, mut client) = UnixStream::pair().unwrap();
            let (other, left) = UnixStream::pair().unwrap();
            if is_gone {
                client = other;
            } else {
                client.shutdown().await.unwrap();
            }
            let told = is_told(is_answered, client, server).await;
            assert_eq!(told, expected, "{is_answered} {is_gone}");
            drop(left);
        }
    }
}
