//! A connection to a published TCP port, and the one to the container that it is passed on to. Bytes stay in the kernel.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags};

/// What is moved at once: as much as a pipe holds.
const CHUNK: usize = 64 * 1024;
/// Moves in one direction before anything else gets a turn.
const MOVES: usize = 16;
/// Empty pipes that are kept for those who need one next.
const SPARE: usize = 2;

/// Pipes that nothing waits in.
#[derive(Debug, Default)]
pub(super) struct Pipes(Vec<Pipe>);

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipes {
    fn take(&mut self) -> Result<Pipe, Errno> {
        match self.0.pop() {
            Some(pipe) => Ok(pipe),
            None => {
                let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
                let (read, write) = rustix::pipe::pipe_with(flags)?;
                Ok(Pipe { read, write })
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn give(&mut self, pipe: Pipe) {
        if self.0.len() < SPARE {
            self.0.push(pipe);
        }
    }
}

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The kernel tells when there is more to do.
    Waits,
    /// There is more to do.
    Eager,
    Over,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// What waits: a pipe and how many bytes are in it.
    waiting: Option<(Pipe, usize)>,
    /// Nothing more will come.
    ended: bool,
    /// The other side knows that.
    told: bool,
}

/// The two connections.
#[derive(Debug)]
pub(super) struct Relay {
    client: OwnedFd,
    server: OwnedFd,
    connected: bool,
    failed: bool,
    there: Half,
    back: Half,
}

impl Relay {
    /// Begins to connect.
    pub(super) fn new(client: OwnedFd, to: SocketAddr) -> Result<Self, Errno> {
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let begin = || {
            let server = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
            sockopt::set_tcp_nodelay(&server, true)?;
            sockopt::set_tcp_nodelay(&client, true)?;
            match rustix::net::connect(&server, &to) {
                Ok(()) | Err(Errno::INPROGRESS) => Ok(server),
                Err(errno) => Err(errno),
            }
        };
        match begin() {
            Ok(server) => Ok(Self {
                client,
                server,
                connected: false,
                failed: false,
                there: Half::default(),
                back: Half::default(),
            }),
            Err(errno) => {
                refuse(&client);
                Err(errno)
            }
        }
    }

    pub(super) fn sockets(&self) -> [&OwnedFd; 2] {
        [&self.client, &self.server]
    }

    /// The container has answered, or nobody did.
    pub(super) fn connected(&mut self, flags: EventFlags) {
        let answer = EventFlags::OUT | EventFlags::ERR | EventFlags::HUP;
        if self.connected || !flags.intersects(answer) {
            return;
        }
        match sockopt::socket_error(&self.server) {
            Ok(Ok(())) => self.connected = true,
            _ => self.failed = true,
        }
    }

    /// Moves what can be moved.
    pub(super) fn pass_on(&mut self, pipes: &mut Pipes) -> State {
        if self.failed {
            refuse(&self.client);
            return State::Over;
        }
        if !self.connected {
            return State::Waits;
        }
        let there = self.there.pass_on(&self.client, &self.server, pipes);
        let back = self.back.pass_on(&self.server, &self.client, pipes);
        match (there, back) {
            (Ok(there), Ok(back)) => {
                if self.there.told && self.back.told {
                    State::Over
                } else if there || back {
                    State::Eager
                } else {
                    State::Waits
                }
            }
            // One end is gone, and the other hears of it the same way.
            _ => {
                refuse(&self.client);
                refuse(&self.server);
                State::Over
            }
        }
    }
}

impl Half {
    /// `true`: there is more to do.
    fn pass_on(&mut self, from: &OwnedFd, to: &OwnedFd, pipes: &mut Pipes) -> Result<bool, Errno> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        for _ in 0..MOVES {
            if let Some((pipe, count)) = &mut self.waiting {
                match rustix::pipe::splice(&pipe.read, None, to, None, *count, flags) {
                    Ok(moved) => *count -= moved.min(*count),
                    Err(Errno::AGAIN) => return Ok(false),
                    Err(Errno::INTR) => continue,
                    Err(errno) => return Err(errno),
                }
                if *count > 0 {
                    continue;
                }
                if let Some((pipe, _)) = self.waiting.take() {
                    pipes.give(pipe);
                }
            }
            if self.ended {
                if !self.told {
                    self.told = true;
                    // One that is gone already needs not to hear it.
                    let _ = rustix::net::shutdown(to.as_fd(), Shutdown::Write);
                }
                return Ok(false);
            }
            let pipe = pipes.take()?;
            match rustix::pipe::splice(from, None, &pipe.write, None, CHUNK, flags) {
                Ok(0) => {
                    self.ended = true;
                    pipes.give(pipe);
                }
                Ok(count) => self.waiting = Some((pipe, count)),
                Err(errno) => {
                    pipes.give(pipe);
                    match errno {
                        Errno::AGAIN => return Ok(false),
                        Errno::INTR => {}
                        other => return Err(other),
                    }
                }
            }
        }
        Ok(true)
    }
}

/// Its end is a reset: that is what a port without a server says.
fn refuse(socket: &OwnedFd) {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
