//! Connections taken over from HTTP for attach and exec: raw bytes both ways.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use onggi_http::Stream;

/// A connection that is no longer HTTP.
pub struct Hijacked {
    pub(crate) first: Bytes,
    pub(crate) stream: Stream,
    /// Whether the daemon frames stdout and stderr, if it told so.
    pub(crate) multiplexed: Option<bool>,
}

impl Hijacked {
    /// Whether the daemon frames stdout and stderr; nothing when it (being old) does not tell.
    pub fn multiplexed(&self) -> Option<bool> {
        self.multiplexed
    }

    /// The two directions, to be used at the same time.
    pub fn split(self) -> (Output, Input) {
        let (read, write) = tokio::io::split(self.stream);
        (
            Output {
                first: self.first,
                read,
            },
            Input { write },
        )
    }
}

/// What the container writes.
pub struct Output {
    first: Bytes,
    read: ReadHalf<Stream>,
}

impl Output {
    /// The next bytes, or nothing at the end.
    ///
    /// # Errors
    /// Whatever reading the socket gives; a reset by a daemon that dies is an end, not an error.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.clear();
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            buffer.extend_from_slice(&first);
            return Ok(first.len());
        }
        match self.read.read_buf(buffer).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(0),
            other => other,
        }
    }
}

/// What the container reads.
pub struct Input {
    write: WriteHalf<Stream>,
}

impl Input {
    /// Sends bytes.
    ///
    /// # Errors
    /// Whatever writing the socket gives.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await
    }

    /// Tells the daemon that no more will come; its output can still be read.
    ///
    /// # Errors
    /// Whatever shutting down the socket gives.
    pub async fn close(&mut self) -> io::Result<()> {
        self.write.shutdown().await
    }
}
