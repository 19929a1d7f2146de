//! Bodies: whole ones, streams from a channel, and requests read with a bound.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Empty, Full};
use hyper::body::{Frame, Incoming};
use onggi_model::{ErrorKind, Fault};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Why a request's body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the request may have.
    #[error("request body too large: more than {0} bytes")]
    TooLarge(usize),
    /// The client went away or sent nonsense.
    #[error("reading the request body")]
    Broken(#[source] hyper::Error),
}

impl Fault for BodyError {
    fn kind(&self) -> ErrorKind {
        match self {
            BodyError::TooLarge(_) => ErrorKind::TooLarge,
            BodyError::Broken(_) => ErrorKind::InvalidParameter,
        }
    }
}

fn never(never: Infallible) -> io::Error {
    match never {}
}

/// No body.
pub fn empty() -> Body {
    Empty::new().map_err(never).boxed_unsync()
}

/// These bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

/// What the channel gives, each piece sent at once; ends when the senders are gone.
pub fn channel(chunks: mpsc::Receiver<Bytes>) -> Body {
    Channel(chunks).boxed_unsync()
}

struct Channel(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(cx)
            .map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// As [`channel`]; after an error the answer breaks off, so that a reader does not take it for whole.
pub fn fallible(chunks: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Fallible(chunks).boxed_unsync()
}

struct Fallible(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Fallible {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(cx)
            .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

/// One piece, made when somebody waits for it: an answer whose head is sent before its body is known.
pub fn later(bytes: impl Future<Output = Bytes> + Send + 'static) -> Body {
    let stream = futures_util::stream::once(async move { Ok(Frame::data(bytes.await)) });
    http_body_util::StreamBody::new(stream).boxed_unsync()
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// [`BodyError`]: longer, or broken.
pub async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let announced = hyper::body::Body::size_hint(&body).lower();
    if announced > limit as u64 {
        return Err(BodyError::TooLarge(limit));
    }
    let mut bytes = BytesMut::with_capacity(announced as usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// A body to read from on a thread for blocking work, at most `limit` bytes of it.
///
/// # Errors
/// [`BodyError::TooLarge`], where the length is announced; a longer one ends with an error of the reader.
pub fn blocking_reader(
    body: Incoming,
    limit: usize,
) -> Result<impl io::Read + Send + 'static, BodyError> {
    if hyper::body::Body::size_hint(&body).lower() > limit as u64 {
        return Err(BodyError::TooLarge(limit));
    }
    let bridge = onggi_rt::Reader::new(Box::pin(reader(body)));
    Ok(Bounded {
        reader: io::BufReader::with_capacity(1 << 16, bridge),
        left: limit,
    })
}

/// Fails where there is more than may be read.
struct Bounded<R> {
    reader: io::BufReader<R>,
    left: usize,
}

impl<R: io::Read> io::Read for Bounded<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(to)?;
        let left = self.left.checked_sub(count);
        self.left = left.ok_or_else(|| io::Error::other("the request body is too large"))?;
        Ok(count)
    }
}

/// A body as a stream of bytes to read from.
pub fn reader(body: Incoming) -> impl AsyncRead + Send + Sync + Unpin + 'static {
    let data = BodyStream::new(body).filter_map(|frame| {
        std::future::ready(match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(io::Error::other(error))),
        })
    });
    StreamReader::new(data)
}
