//! One connection to the daemon: a stream, with HTTP/1.1 spoken over it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};

/// The body of a request.
pub(crate) type RequestBody = BoxBody<Bytes, io::Error>;

/// The bytes between here and the daemon.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Connects and starts HTTP. The connection is driven by a task of the current runtime.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    method: &str,
    path: &str,
) -> Result<SendRequest<RequestBody>> {
    let connected =
        match endpoint {
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
            Endpoint::Tcp { host, port } => TcpStream::connect((host.as_str(), *port))
                .await
                .and_then(|stream| {
                    stream.set_nodelay(true)?;
                    Ok(Stream::Tcp(stream))
                }),
        };
    let stream = connected.map_err(|error| explain(endpoint, method, path, &error))?;
    let broken = |error: hyper::Error| Error::Connection {
        method: method.to_owned(),
        path: path.to_owned(),
        reason: onggi_model::chain(&error),
    };
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(async move {
        // An error here is the error of a request that waits on it, and told there.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

fn explain(endpoint: &Endpoint, method: &str, path: &str, error: &io::Error) -> Error {
    match (error.kind(), endpoint) {
        (io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, _) => Error::Unreachable {
            endpoint: endpoint.to_string(),
        },
        (io::ErrorKind::PermissionDenied, Endpoint::Unix(socket)) => Error::Denied {
            endpoint: endpoint.to_string(),
            group: group_of(socket),
        },
        _ => Error::Connection {
            method: method.to_owned(),
            path: format!("http://{}{path}", endpoint.authority()),
            reason: error.to_string(),
        },
    }
}

/// The group that owns a socket, by name where /etc/group has one; `onggi` where nothing can be learned.
fn group_of(socket: &std::path::Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = std::fs::metadata(socket) else {
        return "onggi".to_owned();
    };
    let wanted = metadata.gid().to_string();
    if wanted == "0" {
        return "onggi".to_owned();
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    groups
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == wanted).then(|| name.to_owned())
        })
        .unwrap_or(wanted)
}
