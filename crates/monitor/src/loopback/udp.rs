//! The clients of published UDP ports: each has a socket of its own towards the container, until it is silent for long.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::{BURST, Source, free};

/// Docker's: after so long without a datagram a client is forgotten.
const SILENCE: Duration = Duration::from_secs(90);
/// Clients at the same time; a further one takes the place of the one that was silent longest.
const MOST: usize = 256;
/// What waits to be read.
const BUFFER: usize = 208 * 1024;

/// All clients of a container's ports.
#[derive(Debug, Default)]
pub(super) struct Flows {
    all: Vec<Option<Flow>>,
    /// When to look who was silent for long.
    sweep: Option<Instant>,
}

/// A client of one port.
#[derive(Debug)]
struct Flow {
    port: usize,
    client: SocketAddr,
    to: SocketAddr,
    socket: UdpSocket,
    used: Instant,
}

impl Flows {
    pub(super) fn wake(&self) -> Option<Instant> {
        self.sweep
    }

    /// Passes on what clients of a port have sent.
    pub(super) fn ask(
        &mut self,
        epoll: &OwnedFd,
        port: usize,
        socket: &OwnedFd,
        to: SocketAddr,
        space: &mut [u8],
    ) {
        for _ in 0..BURST {
            let (count, client) =
                match rustix::net::recvfrom(socket, &mut *space, RecvFlags::DONTWAIT) {
                    Ok((count, _, Some(from))) => match SocketAddr::try_from(from) {
                        Ok(client) => (count, client),
                        Err(_) => continue,
                    },
                    Ok(_) | Err(Errno::INTR | Errno::CONNREFUSED) => continue,
                    Err(_) => return,
                };
            let Some(flow) = self.flow(epoll, port, client, to) else {
                continue;
            };
            flow.used = Instant::now();
            // Lost, as datagrams may be; also where nobody is there.
            let _ = flow.socket.send(&space[..count]);
        }
    }

    /// Passes on what the container has answered.
    pub(super) fn answer<'p>(
        &mut self,
        index: usize,
        socket: impl Fn(usize) -> Option<&'p OwnedFd>,
        space: &mut [u8],
    ) {
        let Some(slot) = self.all.get_mut(index) else {
            return;
        };
        let Some(flow) = slot else { return };
        let Some(port) = socket(flow.port) else {
            *slot = None;
            return;
        };
        for _ in 0..BURST {
            match flow.socket.recv(space) {
                Ok(count) => {
                    flow.used = Instant::now();
                    let _ = rustix::net::sendto(
                        port,
                        &space[..count],
                        SendFlags::DONTWAIT,
                        &flow.client,
                    );
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // Nobody is there: the next datagram may find somebody.
                Err(_) => {}
            }
        }
    }

    /// Forgets those who were silent for long.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.sweep.is_none_or(|time| now < time) {
            return;
        }
        for slot in &mut self.all {
            if slot.as_ref().is_some_and(|flow| now >= flow.used + SILENCE) {
                *slot = None;
            }
        }
        let next = self.all.iter().flatten().map(|flow| flow.used + SILENCE);
        self.sweep = next.min();
        if self.sweep.is_none() {
            self.all = Vec::new();
        }
    }

    fn flow(
        &mut self,
        epoll: &OwnedFd,
        port: usize,
        client: SocketAddr,
        to: SocketAddr,
    ) -> Option<&mut Flow> {
        let same = |flow: &Flow| (flow.port, flow.client, flow.to) == (port, client, to);
        let known = |slot: &Option<Flow>| slot.as_ref().is_some_and(same);
        let index = match self.all.iter().position(known) {
            Some(index) => index,
            None => {
                let socket = connect(to).ok()?;
                let index = self.room();
                let data = Source::Flow(index).data();
                epoll::add(epoll, &socket, data, epoll::EventFlags::IN).ok()?;
                let used = Instant::now();
                self.sweep.get_or_insert(used + SILENCE);
                self.all[index] = Some(Flow {
                    port,
                    client,
                    to,
                    socket,
                    used,
                });
                index
            }
        };
        self.all[index].as_mut()
    }

    #[cfg(test)]
    pub(super) fn clients(&self) -> usize {
        self.all.iter().flatten().count()
    }

    /// A free slot.
    fn room(&mut self) -> usize {
        if self.all.iter().flatten().count() >= MOST {
            let used = |index: &usize| self.all[*index].as_ref().map(|flow| flow.used);
            let oldest = (0..self.all.len())
                .filter(|i| self.all[*i].is_some())
                .min_by_key(used);
            if let Some(oldest) = oldest {
                self.all[oldest] = None;
            }
        }
        free(&mut self.all)
    }
}

fn connect(to: SocketAddr) -> Result<UdpSocket, Errno> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&socket, &to)?;
    Ok(socket.into())
}

/// A socket that holds the port at `[::1]` itself, and from now on is read from.
pub(super) fn wake_up(held: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    sockopt::set_socket_recv_buffer_size(held, BUFFER)?;
    rustix::io::fcntl_dupfd_cloexec(held.as_fd(), 3)
}
