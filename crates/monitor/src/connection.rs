//! Framed connections: those that have not said their role, and the one that steers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use rustix::net::SocketFlags;

use crate::protocol::{Decoder, FromMonitor, Outgoing, ToMonitor, receive};

/// A daemon that does not read what it is told is no daemon.
const MOST_WAITING: usize = 4096;

/// A connection that speaks frames.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    decoder: Decoder,
    waiting: VecDeque<Outgoing>,
}

/// What a connection has to say.
pub(crate) enum Said {
    Message(Box<ToMonitor>, Vec<OwnedFd>),
    /// Nothing yet.
    Nothing,
    /// It is over: hung up, or garbage.
    End,
}

impl Connection {
    /// The next peer that may speak to us: root, or who we are. `None`: nobody waits.
    ///
    /// # Errors
    /// Descriptors or memory are used up: the peer waits on, and waking up for it at once would be a busy loop.
    pub(crate) fn accept(listener: &OwnedFd) -> rustix::io::Result<Option<Self>> {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match rustix::net::accept_with(listener, flags) {
                Ok(socket) => socket,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => continue,
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
            };
            let Ok(peer) = rustix::net::sockopt::socket_peercred(&socket) else {
                continue;
            };
            if peer.uid.is_root() || peer.uid == rustix::process::geteuid() {
                let (decoder, waiting) = (Decoder::default(), VecDeque::new());
                return Ok(Some(Self {
                    socket,
                    decoder,
                    waiting,
                }));
            }
        }
    }

    /// Reads once if need be, and takes one message.
    pub(crate) fn next(&mut self) -> Said {
        loop {
            match self.decoder.next() {
                Ok(Some((message, descriptors))) => {
                    return Said::Message(Box::new(message), descriptors);
                }
                Ok(None) => {}
                Err(_) => return Said::End,
            }
            match receive(&self.socket, &mut self.decoder) {
                Ok(0) => return Said::End,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Said::Nothing,
                Err(_) => return Said::End,
            }
        }
    }

    /// Queues a message and sends what the socket takes. `false`: the connection is of no use any more.
    #[must_use]
    pub(crate) fn say(&mut self, message: &FromMonitor, descriptors: Vec<OwnedFd>) -> bool {
        let Ok(frame) = Outgoing::new(message, descriptors) else {
            return false;
        };
        self.waiting.push_back(frame);
        self.waiting.len() <= MOST_WAITING && self.flush()
    }

    /// Sends what the socket takes. `false`: the connection is of no use any more.
    #[must_use]
    pub(crate) fn flush(&mut self) -> bool {
        while let Some(frame) = self.waiting.front_mut() {
            match frame.send(&self.socket) {
                Ok(true) => drop(self.waiting.pop_front()),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Everything said is with the kernel.
    pub(crate) fn is_flushed(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The socket, and what came behind the last frame.
    pub(crate) fn into_raw(self) -> (OwnedFd, Vec<u8>) {
        (self.socket, self.decoder.into_rest())
    }
}
