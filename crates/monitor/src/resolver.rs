//! Names for the container while no daemon answers: those that the daemon left in files, and for the rest the upstreams.
//! Simple where the daemon is quick: no cache, one upstream after the other.
//!
//! The sockets are the daemon's too. While it is there, nothing here is waited for but what was begun before it came.

mod relay; // a question by UDP that an upstream has
mod stream; // a conversation by TCP

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use onggi_dns::{
    Names, Namespace, Network, Query, Rcode, Refusal, ResolvConf, Row, Said, Upstream, View,
};
use onggi_sys::netns;
use rustix::event::PollFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::events::{Interests, Resolving, Token};
use relay::Relay;
use stream::Stream;

/// Questions that wait for an upstream. Further ones are refused.
const MOST_RELAYS: usize = 64;
/// Conversations at the same time. Further ones wait.
const MOST_STREAMS: usize = 8;
/// Questions taken before anything else gets a turn.
const BURST: usize = 32;
/// The largest message by UDP that is read.
const LARGEST: usize = 4096;
const PORT: u16 = 53;

/// The container's resolver.
#[derive(Debug)]
pub(crate) struct Resolver {
    udp: UdpSocket,
    tcp: TcpListener,
    netns: OwnedFd,
    view: View,
    relays: Vec<Relay>,
    streams: Vec<Stream>,
    turn: usize,
}

/// What follows from a message.
enum Step {
    Nothing,
    Reply(Vec<u8>),
    Ask(Query),
}

impl Resolver {
    /// `None`: these are not its descriptors.
    pub(crate) fn new(view: View, descriptors: Vec<OwnedFd>) -> Option<Self> {
        let [udp, tcp, netns] = descriptors.try_into().ok()?;
        Some(Self {
            udp: udp.into(),
            tcp: tcp.into(),
            netns,
            view,
            relays: Vec::new(),
            streams: Vec::new(),
            turn: 0,
        })
    }

    /// The names or the upstreams have changed.
    pub(crate) fn set_view(&mut self, view: View) {
        self.view = view;
    }

    /// Duplicates for the daemon; none where there are no descriptors left.
    pub(crate) fn duplicates(&self) -> Vec<OwnedFd> {
        let own = [self.udp.as_fd(), self.tcp.as_fd(), self.netns.as_fd()];
        let made: Option<Vec<OwnedFd>> = own
            .into_iter()
            .map(|fd| fd.try_clone_to_owned().ok())
            .collect();
        made.unwrap_or_default()
    }

    /// `alone`: no daemon answers.
    pub(crate) fn interests<'fd>(&'fd self, alone: bool, list: &mut Interests<'fd>) {
        let mut add = |what, fd: BorrowedFd<'fd>, flags| list.add(Token::Resolver(what), fd, flags);
        if alone {
            add(Resolving::Udp, self.udp.as_fd(), PollFlags::IN);
            if self.streams.len() < MOST_STREAMS {
                add(Resolving::Tcp, self.tcp.as_fd(), PollFlags::IN);
            }
        }
        for (index, relay) in self.relays.iter().enumerate() {
            add(
                Resolving::Relay(index),
                relay.socket().as_fd(),
                PollFlags::IN,
            );
        }
        for (index, stream) in self.streams.iter().enumerate() {
            let (fd, flags) = stream.interest();
            add(Resolving::Stream(index), fd, flags);
        }
        let relays = self.relays.iter().map(Relay::wake);
        let streams = self.streams.iter().map(Stream::wake);
        relays.chain(streams).for_each(|time| list.until(time));
    }

    pub(crate) fn handle(&mut self, what: Resolving) {
        match what {
            Resolving::Udp => {
                for _ in 0..BURST {
                    let mut bytes = [0; LARGEST];
                    let Ok((count, asker)) = self.udp.recv_from(&mut bytes) else {
                        return;
                    };
                    self.answer(&bytes[..count], asker);
                }
            }
            Resolving::Tcp => {
                if let Ok((socket, _)) = self.tcp.accept()
                    && socket.set_nonblocking(true).is_ok()
                {
                    self.streams.push(Stream::new(socket));
                }
            }
            Resolving::Relay(index) => {
                if let Some(relay) = self.relays.get_mut(index) {
                    relay.hear(&self.netns, &self.udp);
                }
            }
            Resolving::Stream(index) => {
                if index < self.streams.len() {
                    let mut stream = self.streams.swap_remove(index);
                    stream.go_on(self);
                    self.streams.push(stream);
                    // Indices hold for one round.
                    let last = self.streams.len() - 1;
                    self.streams.swap(index, last);
                }
            }
        }
    }

    /// What follows from the time, once a round.
    pub(crate) fn advance(&mut self) {
        let now = Instant::now();
        for relay in &mut self.relays {
            relay.advance(now, &self.netns, &self.udp);
        }
        self.relays.retain(|relay| !relay.is_over());
        self.streams.retain(|stream| !stream.is_over(now));
    }

    fn answer(&mut self, message: &[u8], asker: SocketAddr) {
        // A reply that the kernel does not take is lost: the asker asks again.
        let send = |reply: &[u8]| drop(self.udp.send_to(reply, asker));
        match self.step(message, Query::limit) {
            Step::Nothing => {}
            Step::Reply(reply) => send(&reply),
            Step::Ask(query) if self.relays.len() >= MOST_RELAYS => {
                send(&query.bare(Rcode::Refused));
            }
            Step::Ask(query) => {
                let upstreams = self.upstreams();
                match Relay::new(query, message, asker, upstreams, &self.netns) {
                    Ok(relay) => self.relays.push(relay),
                    Err(query) => send(&query.bare(Rcode::ServFail)),
                }
            }
        }
        self.turn = self.turn.wrapping_add(1);
    }

    fn step(&self, message: &[u8], limit: impl Fn(&Query) -> usize) -> Step {
        match Query::parse(message) {
            Ok(query) => match self.view.say(&query, &Files, self.turn, limit(&query)) {
                Said::Reply(reply) => Step::Reply(reply),
                Said::Ask => Step::Ask(query),
            },
            Err(Refusal::Silence) => Step::Nothing,
            Err(Refusal::Reply(reply)) => Step::Reply(reply),
        }
    }

    fn upstreams(&self) -> Vec<Upstream> {
        let file = |path: &str| std::fs::read_to_string(path).ok();
        self.view.upstreams(&ResolvConf::of_host(file).1)
    }
}

/// A socket that is connecting to an upstream, from where it is to be asked.
fn connect(upstream: &Upstream, netns: &OwnedFd, kind: SocketType) -> std::io::Result<OwnedFd> {
    let work = || -> std::io::Result<OwnedFd> {
        let family = match upstream.address {
            IpAddr::V4(_) => AddressFamily::INET,
            IpAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        if kind == SocketType::DGRAM {
            // Who cannot be reached is passed over at once.
            onggi_sys::socket::report_errors(socket.as_fd(), upstream.address.is_ipv6())?;
        }
        let address = match (upstream.address, &upstream.scope) {
            (IpAddr::V6(address), Some(scope)) => {
                let index = match scope.parse() {
                    Ok(index) => index,
                    Err(_) => rustix::net::netdevice::name_to_index(&socket, scope)?,
                };
                std::net::SocketAddrV6::new(address, PORT, 0, index).into()
            }
            (address, _) => SocketAddr::new(address, PORT),
        };
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
            Err(errno) => Err(errno.into()),
        }
    };
    match upstream.from {
        Namespace::Host => work(),
        Namespace::Container => netns::in_namespace(netns.as_fd(), work)?,
    }
}

/// The names that the daemon left.
struct Files;

impl Files {
    /// What `pick` makes of each line.
    fn rows<T>(network: &Network, pick: impl FnMut(Row<'_>) -> Vec<T>) -> Vec<T> {
        let text = std::fs::read_to_string(&network.table).unwrap_or_default();
        text.lines().filter_map(Row::read).flat_map(pick).collect()
    }

    fn addresses(network: &Network, is_meant: impl Fn(&Row<'_>) -> bool) -> Vec<IpAddr> {
        Self::rows(network, |row| match is_meant(&row) {
            true => row.addresses().collect(),
            false => Vec::new(),
        })
    }
}

impl Names for Files {
    fn of_name(&self, network: &Network, name: &str) -> Vec<IpAddr> {
        Self::addresses(network, |row| row.names().any(|own| own == name))
    }

    fn of_container(&self, network: &Network, id: &str) -> Vec<IpAddr> {
        Self::addresses(network, |row| row.container == id)
    }

    fn of_address(&self, network: &Network, address: IpAddr) -> Option<String> {
        let names = Self::rows(network, |row| {
            match row.addresses().any(|own| own == address) {
                true => row.names().take(1).map(str::to_owned).collect(),
                false => Vec::new(),
            }
        });
        names.into_iter().next()
    }
}
