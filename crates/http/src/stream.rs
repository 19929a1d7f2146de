//! Unix, TCP and TLS streams, and programs, as one type.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

use crate::program::Program;

/// A connection of any kind. Shutting it down closes the writing half only.
#[derive(Debug)]
pub enum Stream {
    /// A unix socket.
    Unix(UnixStream),
    /// TCP.
    Tcp(TcpStream),
    /// TLS, accepted.
    TlsServer(Box<server::TlsStream<TcpStream>>),
    /// TLS, connected.
    TlsClient(Box<client::TlsStream<TcpStream>>),
    /// Standard input and output of a program.
    Program(Box<Program>),
}

macro_rules! each {
    ($this:expr, $stream:ident => $call:expr) => {
        match $this.get_mut() {
            Stream::Unix($stream) => $call,
            Stream::Tcp($stream) => $call,
            Stream::TlsServer($stream) => $call,
            Stream::TlsClient($stream) => $call,
            Stream::Program($stream) => $call,
        }
    };
}

impl Stream {
    /// Whether the peer closed both halves, as far as the kernel tells: of unix sockets alone.
    pub(crate) fn is_hung_up(&self) -> bool {
        let Stream::Unix(stream) = self else {
            return false;
        };
        let mut poll = [PollFd::new(stream, PollFlags::empty())];
        let polled = rustix::event::poll(&mut poll, Some(&Timespec::default()));
        polled.is_ok() && poll[0].revents().contains(PollFlags::HUP)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::TlsServer(stream) => stream.is_write_vectored(),
            Stream::TlsClient(stream) => stream.is_write_vectored(),
            Stream::Program(stream) => stream.is_write_vectored(),
        }
    }
}
