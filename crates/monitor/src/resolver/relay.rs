//! A question by UDP that an upstream has: one after the other, round and round, until one settles it or time is up.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use onggi_dns::{Answer, Query, Rcode, Upstream};
use rustix::net::SocketType;

/// How long one upstream has.
const TURN: Duration = Duration::from_millis(400);
/// Docker's limit for all.
const LONGEST: Duration = Duration::from_secs(4);
/// The largest answer.
const LARGEST: usize = 4096;

#[derive(Debug)]
pub(super) struct Relay {
    query: Query,
    /// With a number of ours.
    message: Box<[u8]>,
    asker: SocketAddr,
    upstreams: Vec<Upstream>,
    tried: usize,
    socket: UdpSocket,
    /// What to tell when nobody knows better.
    failure: Option<Answer>,
    /// When it is another one's turn.
    turn: Instant,
    end: Instant,
    over: bool,
}

impl Relay {
    /// Asks the first upstream that can be reached. Gives the question back where there is none.
    pub(super) fn new(
        query: Query,
        message: &[u8],
        asker: SocketAddr,
        upstreams: Vec<Upstream>,
        netns: &OwnedFd,
    ) -> Result<Self, Query> {
        let mut message: Box<[u8]> = message.into();
        let mut id = [0; 2];
        if rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty()) != Ok(2) {
            return Err(query);
        }
        message[..2].copy_from_slice(&id);
        let mut tried = 0;
        let Some(socket) = send(&upstreams, &mut tried, &message, netns) else {
            return Err(query);
        };
        let now = Instant::now();
        Ok(Self {
            query,
            message,
            asker,
            upstreams,
            tried,
            socket,
            failure: None,
            turn: now + TURN,
            end: now + LONGEST,
            over: false,
        })
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(super) fn wake(&self) -> Instant {
        self.turn.min(self.end)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The upstream has said something.
    pub(super) fn hear(&mut self, netns: &OwnedFd, own: &UdpSocket) {
        // As much as the asker says that it takes.
        let mut bytes = vec![0; self.query.limit().max(LARGEST)];
        match self.socket.recv(&mut bytes) {
            Ok(count) => match Answer::parse(bytes[..count].to_vec(), &self.message) {
                Some(answer) if answer.settles() => self.tell(&answer, own),
                Some(answer) => {
                    self.failure = Some(answer);
                    self.fail(netns, own);
                }
                None => {} // not from whom we asked
            },
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => self.fail(netns, own),
        }
    }

    pub(super) fn advance(&mut self, now: Instant, netns: &OwnedFd, own: &UdpSocket) {
        if self.over || now < self.wake() {
            return;
        }
        if now >= self.end {
            return self.give_up(own);
        }
        // Round and round: a lost datagram is sent again.
        if self.tried >= self.upstreams.len() {
            self.tried = 0;
        }
        self.ask_next(netns, own);
    }

    /// This upstream will not settle it.
    fn fail(&mut self, netns: &OwnedFd, own: &UdpSocket) {
        if self.tried >= self.upstreams.len() {
            return self.give_up(own);
        }
        self.ask_next(netns, own);
    }

    fn ask_next(&mut self, netns: &OwnedFd, own: &UdpSocket) {
        match send(&self.upstreams, &mut self.tried, &self.message, netns) {
            Some(socket) => {
                self.socket = socket;
                self.turn = Instant::now() + TURN;
            }
            None => self.give_up(own),
        }
    }

    fn give_up(&mut self, own: &UdpSocket) {
        match self.failure.take() {
            Some(answer) => self.tell(&answer, own),
            None => {
                self.over = true;
                // Lost replies are asked for again.
                let _ = own.send_to(&self.query.bare(Rcode::ServFail), self.asker);
            }
        }
    }

    fn tell(&mut self, answer: &Answer, own: &UdpSocket) {
        self.over = true;
        let mut reply = answer.told(self.query.id(), self.query.question(), 0);
        if reply.len() > self.query.limit() {
            reply = self.query.come_by_tcp();
        }
        let _ = own.send_to(&reply, self.asker);
    }
}

/// Sends to the next upstream that can be reached.
fn send(
    upstreams: &[Upstream],
    tried: &mut usize,
    message: &[u8],
    netns: &OwnedFd,
) -> Option<UdpSocket> {
    while let Some(upstream) = upstreams.get(*tried) {
        *tried += 1;
        if let Ok(socket) = super::connect(upstream, netns, SocketType::DGRAM) {
            let socket = UdpSocket::from(socket);
            if socket.send(message).is_ok() {
                return Some(socket);
            }
        }
    }
    None
}
