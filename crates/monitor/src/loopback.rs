//! Published ports on `[::1]` of the host. The kernel routes nothing from there to another link, so nothing can be
//! translated: the monitor listens, and passes on. It does so as long as the container runs, with and without a daemon.
//!
//! Kept true: without connections and flows there is nothing but a socket a port, and one descriptor in the loop's list;
//! connections hold memory of the kernel only while data waits in them; their number is bounded.
//!
//! The sockets that hold the ports are bound to all addresses, and never listen. Ours are bound beside them, to `[::1]`:
//! both allow that for the moment it takes.

mod relay; // a connection to a TCP port
mod udp; // the clients of a UDP port

use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use onggi_model::Protocol;
use rustix::event::{PollFlags, Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::events::{Interests, Token};
use crate::protocol::Forward;
use crate::streams::Scratch;
use relay::{Pipes, Relay};
use udp::Flows;

/// Connections at the same time. Further ones wait, as with a server that is busy.
const MOST_RELAYS: usize = 1024;
/// Ports that are listened on.
const MOST_PORTS: usize = 1024;
/// Events taken before anything else gets a turn.
const BURST: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// How long to wait when no descriptors are left.
const DEAF: Duration = Duration::from_millis(100);
/// A port that another container is just leaving is tried again so often, and so long.
const AGAIN: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(10);

/// The listeners of one container.
#[derive(Debug)]
pub(crate) struct Loopback {
    epoll: OwnedFd,
    wanted: Vec<Forward>,
    ports: Vec<Option<Port>>,
    relays: Vec<Option<Relay>>,
    pipes: Pipes,
    flows: Flows,
    /// Relays that had more to pass on than one round allows.
    eager: Vec<usize>,
    /// No descriptor was left: not before this time again.
    deaf_until: Option<Instant>,
    /// Ports that others have still: when to try again, and until when.
    missing: Option<(Instant, Instant)>,
}

/// A port that is listened on.
#[derive(Debug)]
struct Port {
    protocol: Protocol,
    number: u16,
    to: SocketAddr,
    socket: OwnedFd,
    /// Somebody may wait to be accepted.
    ready: bool,
}

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Port(usize),
    Client(usize),
    Server(usize),
    Flow(usize),
}

impl Source {
    fn data(self) -> epoll::EventData {
        let (kind, index) = match self {
            Self::Port(index) => (0, index),
            Self::Client(index) => (1, index),
            Self::Server(index) => (2, index),
            Self::Flow(index) => (3, index),
        };
        epoll::EventData::new_u64((kind << 32) | index as u64)
    }

    fn of(data: epoll::EventData) -> Self {
        let data = data.u64();
        let index = (data & 0xffff_ffff) as usize;
        match data >> 32 {
            0 => Self::Port(index),
            1 => Self::Client(index),
            2 => Self::Server(index),
            _ => Self::Flow(index),
        }
    }
}

impl Loopback {
    /// Listens nowhere yet.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            wanted: Vec::new(),
            ports: Vec::new(),
            relays: Vec::new(),
            pipes: Pipes::default(),
            flows: Flows::default(),
            eager: Vec::new(),
            deaf_until: None,
            missing: None,
        })
    }

    /// Listens on these ports and no others; connections that are there stay. `held` are the sockets that hold ports.
    pub(crate) fn settle(&mut self, wanted: Vec<Forward>, held: &[OwnedFd]) {
        self.wanted = wanted;
        self.missing = Some((Instant::now(), Instant::now() + LONGEST));
        self.listen(held);
    }

    fn listen(&mut self, held: &[OwnedFd]) {
        let wanted: Vec<(Protocol, u16, SocketAddr)> =
            self.wanted.iter().flat_map(each).take(MOST_PORTS).collect();
        for slot in &mut self.ports {
            let Some(port) = slot else { continue };
            let same = |(protocol, number, _): &&(Protocol, u16, SocketAddr)| {
                (*protocol, *number) == (port.protocol, port.number)
            };
            match wanted.iter().find(same) {
                Some((_, _, to)) => port.to = *to,
                None => *slot = None,
            }
        }
        let held = named(held);
        let mut taken = false;
        for (protocol, number, to) in wanted {
            let is_open = |port: &Port| (port.protocol, port.number) == (protocol, number);
            if self.ports.iter().flatten().any(is_open) {
                continue;
            }
            let holder = held.iter().find(|one| one.is(protocol, number));
            match open(protocol, number, holder) {
                Ok(socket) => self.add_port(Port {
                    protocol,
                    number,
                    to,
                    socket,
                    ready: false,
                }),
                // A host without IPv6 has no [::1], and nobody misses it.
                Err(errno) => taken |= errno == Errno::ADDRINUSE,
            }
        }
        let now = Instant::now();
        self.missing = self
            .missing
            .filter(|(_, end)| taken && now < *end)
            .map(|(_, end)| (now + AGAIN, end));
    }

    fn add_port(&mut self, port: Port) {
        let index = free(&mut self.ports);
        let data = Source::Port(index).data();
        let flags = match port.protocol {
            Protocol::Udp => epoll::EventFlags::IN,
            _ => epoll::EventFlags::IN | epoll::EventFlags::ET,
        };
        if epoll::add(&self.epoll, &port.socket, data, flags).is_ok() {
            self.ports[index] = Some(port);
        }
    }

    /// Descriptors and times.
    pub(crate) fn interests<'fd>(&'fd self, list: &mut Interests<'fd>) {
        list.add(Token::Loopback, self.epoll.as_fd(), PollFlags::IN);
        if !self.eager.is_empty() {
            list.until(Instant::now());
        }
        let times = [
            self.missing.map(|(next, _)| next),
            self.deaf_until,
            self.flows.wake(),
        ];
        times
            .into_iter()
            .flatten()
            .for_each(|time| list.until(time));
    }

    /// Something has happened on one of its sockets.
    pub(crate) fn handle(&mut self, scratch: &mut Scratch) {
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut events = Vec::with_capacity(BURST);
        let buffer = rustix::buffer::spare_capacity(&mut events);
        if epoll::wait(&self.epoll, buffer, Some(&NOW)).is_err() {
            return;
        }
        for event in events {
            let flags = event.flags;
            match Source::of(event.data) {
                Source::Port(index) => self.knock(index, scratch),
                Source::Client(index) => self.pass_on(index),
                Source::Server(index) => {
                    if let Some(Some(relay)) = self.relays.get_mut(index) {
                        relay.connected(flags);
                    }
                    self.pass_on(index);
                }
                Source::Flow(index) => {
                    scratch.used = Some(Instant::now());
                    let ports = &self.ports;
                    let socket = |port: usize| Some(&ports.get(port)?.as_ref()?.socket);
                    self.flows.answer(index, socket, scratch.space());
                }
            }
        }
        self.accept();
    }

    /// What time brings, once a round.
    pub(crate) fn advance(&mut self, held: &[OwnedFd]) {
        let now = Instant::now();
        for index in std::mem::take(&mut self.eager) {
            self.pass_on(index);
        }
        if self.deaf_until.is_some_and(|time| time <= now) {
            self.deaf_until = None;
            self.accept();
        }
        self.flows.sweep(now);
        if self.missing.is_some_and(|(next, _)| next <= now) {
            self.listen(held);
        }
    }

    fn knock(&mut self, index: usize, scratch: &mut Scratch) {
        let Some(Some(port)) = self.ports.get_mut(index) else {
            return;
        };
        match port.protocol {
            Protocol::Udp => {
                scratch.used = Some(Instant::now());
                let (socket, to) = (&port.socket, port.to);
                self.flows
                    .ask(&self.epoll, index, socket, to, scratch.space());
            }
            _ => port.ready = true,
        }
    }

    fn accept(&mut self) {
        if self.deaf_until.is_some() {
            return;
        }
        let mut open = self.relays.iter().flatten().count();
        for index in 0..self.ports.len() {
            while open < MOST_RELAYS {
                let Some(port) = self.ports[index].as_mut().filter(|port| port.ready) else {
                    break;
                };
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                match rustix::net::accept_with(&port.socket, flags) {
                    Ok(client) => {
                        let to = port.to;
                        open += usize::from(self.add_relay(client, to));
                    }
                    Err(Errno::AGAIN) => port.ready = false,
                    Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                        self.deaf_until = Some(Instant::now() + DEAF);
                        return;
                    }
                    // That one has gone.
                    Err(_) => {}
                }
            }
        }
    }

    fn add_relay(&mut self, client: OwnedFd, to: SocketAddr) -> bool {
        // Whoever is not connected is hung up on.
        let Ok(relay) = Relay::new(client, to) else {
            return false;
        };
        let index = free(&mut self.relays);
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        let [client, server] = relay.sockets();
        let added = epoll::add(&self.epoll, client, Source::Client(index).data(), flags)
            .and_then(|()| epoll::add(&self.epoll, server, Source::Server(index).data(), flags));
        if added.is_ok() {
            self.relays[index] = Some(relay);
        }
        added.is_ok()
    }

    fn pass_on(&mut self, index: usize) {
        let Some(Some(relay)) = self.relays.get_mut(index) else {
            return;
        };
        match relay.pass_on(&mut self.pipes) {
            relay::State::Waits => {}
            relay::State::Eager if self.eager.contains(&index) => {}
            relay::State::Eager => self.eager.push(index),
            relay::State::Over => {
                self.relays[index] = None;
                while self.relays.pop_if(|last| last.is_none()).is_some() {}
                if self.relays.is_empty() {
                    self.relays = Vec::new();
                    self.pipes = Pipes::default();
                }
                // There is room for another.
                self.accept();
            }
        }
    }
}

/// Each port of a run.
fn each(forward: &Forward) -> impl Iterator<Item = (Protocol, u16, SocketAddr)> + use<> {
    let Forward {
        protocol,
        port,
        length,
        to,
    } = *forward;
    (0..length).filter_map(move |step| {
        let to = SocketAddr::new(to.ip(), to.port().checked_add(step)?);
        Some((protocol, port.checked_add(step)?, to))
    })
}

/// The index of a free slot.
fn free<T>(slots: &mut Vec<Option<T>>) -> usize {
    let index = slots.iter().position(Option::is_none);
    index.unwrap_or_else(|| {
        slots.push(None);
        slots.len() - 1
    })
}

/// A socket that holds a port of IPv6.
struct Held<'fd> {
    socket: BorrowedFd<'fd>,
    kind: SocketType,
    ip: Ipv6Addr,
    port: u16,
}

impl Held<'_> {
    fn is(&self, protocol: Protocol, number: u16) -> bool {
        let kind = match protocol {
            Protocol::Tcp => SocketType::STREAM,
            Protocol::Udp => SocketType::DGRAM,
            Protocol::Sctp => return false,
        };
        (self.kind, self.port) == (kind, number)
    }
}

fn named(held: &[OwnedFd]) -> Vec<Held<'_>> {
    let one = |socket: &'_ OwnedFd| -> Option<(SocketType, Ipv6Addr, u16)> {
        if sockopt::socket_protocol(socket).ok()? == Some(rustix::net::ipproto::SCTP) {
            return None;
        }
        let kind = sockopt::socket_type(socket).ok()?;
        match SocketAddr::try_from(rustix::net::getsockname(socket).ok()?).ok()? {
            SocketAddr::V6(address) => Some((kind, *address.ip(), address.port())),
            SocketAddr::V4(_) => None,
        }
    };
    let all = held.iter().filter_map(|socket| {
        let (kind, ip, port) = one(socket)?;
        Some(Held {
            socket: socket.as_fd(),
            kind,
            ip,
            port,
        })
    });
    all.collect()
}

/// A socket that listens at `[::1]`.
fn open(protocol: Protocol, number: u16, holder: Option<&Held<'_>>) -> Result<OwnedFd, Errno> {
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
        Protocol::Sctp => return Err(Errno::PROTONOSUPPORT),
    };
    if let Some(held) = holder
        && (held.ip, kind) == (Ipv6Addr::LOCALHOST, SocketType::DGRAM)
    {
        return udp::wake_up(held.socket);
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET6, kind, flags, None)?;
    let shares = kind == SocketType::STREAM || holder.is_some();
    sockopt::set_socket_reuseaddr(&socket, shares)?;
    if let Some(held) = holder {
        sockopt::set_socket_reuseaddr(held.socket, true)?;
    }
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, number));
    let mut bound = rustix::net::bind(&socket, &address);
    if kind == SocketType::STREAM {
        bound = bound.and_then(|()| rustix::net::listen(&socket, BACKLOG));
    }
    if let Some(held) = holder {
        sockopt::set_socket_reuseaddr(held.socket, false)?;
    }
    // What is left of connections must not keep the port from the next container: those of TCP go on sharing it.
    sockopt::set_socket_reuseaddr(&socket, kind == SocketType::STREAM)?;
    bound.map(|()| socket)
}

#[cfg(test)]
mod tests;
