//! One attached connection.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use onggi_logs::Stream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::input::Input;

/// A client with more than this waiting holds its streams up. One read comes on top.
const LAGGING: usize = 128 * 1024;

/// A connection that gets output and gives input.
#[derive(Debug)]
pub(crate) struct Client {
    socket: OwnedFd,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    waiting: Vec<u8>,
    sent: usize,
    /// Since when it has taken nothing of what waits for it.
    stuck_since: Option<Instant>,
    /// The peer will say nothing more.
    input_over: bool,
    /// The peer is gone altogether: what waits for it is for nobody.
    gone: bool,
    /// Nothing more comes for the peer; when all is sent the connection ends.
    pub(crate) ending: bool,
}

impl Client {
    pub(crate) fn new(socket: OwnedFd, stdin: bool, stdout: bool, stderr: bool) -> Self {
        Self {
            socket,
            stdin,
            stdout,
            stderr,
            waiting: Vec::new(),
            sent: 0,
            stuck_since: None,
            input_over: false,
            gone: false,
            ending: false,
        }
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        super::borrow(&self.socket)
    }

    /// What the peer sends is stdin.
    pub(crate) fn stdin(&self) -> bool {
        self.stdin
    }

    pub(crate) fn wants(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }

    /// Since when it has taken nothing, though something waits for it.
    pub(crate) fn stuck_since(&self) -> Option<Instant> {
        self.stuck_since
    }

    pub(crate) fn is_lagging(&self) -> bool {
        self.waiting.len() - self.sent > LAGGING
    }

    /// Nothing is left to do for it.
    pub(crate) fn is_over(&self) -> bool {
        let sent = self.gone || self.sent == self.waiting.len();
        sent && (self.ending || (self.gone && self.input_over))
    }

    /// `None`: leave it alone, it is gone and what it has left to say must wait.
    pub(crate) fn interest(&self, room: bool) -> Option<PollFlags> {
        let mut flags = PollFlags::empty();
        if !self.input_over && room {
            flags |= PollFlags::IN;
        }
        if self.gone {
            return (!flags.is_empty()).then_some(flags);
        }
        if self.sent < self.waiting.len() {
            flags |= PollFlags::OUT;
        }
        Some(flags)
    }

    pub(crate) fn hung_up(&mut self) {
        self.gone = true;
        self.waiting = Vec::new();
        self.sent = 0;
        self.stuck_since = None;
    }

    /// Bytes as they are, before any output.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        self.flush();
    }

    /// Output of the process. `framed`: with Docker's 8-byte header.
    pub(crate) fn send(&mut self, stream: Stream, bytes: &[u8], framed: bool) {
        if self.gone {
            return;
        }
        let length = (bytes.len() as u32).to_be_bytes();
        let header = [
            stream.number(),
            0,
            0,
            0,
            length[0],
            length[1],
            length[2],
            length[3],
        ];
        let header: &[u8] = if framed { &header } else { &[] };
        let mut sent = 0;
        if self.waiting.is_empty() {
            let parts = [IoSlice::new(header), IoSlice::new(bytes)];
            let mut none = SendAncillaryBuffer::default();
            match sendmsg(&self.socket, &parts, &mut none, SendFlags::NOSIGNAL) {
                Ok(count) => sent = count,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return self.hung_up(),
            }
        }
        if sent < header.len() {
            self.waiting.extend_from_slice(&header[sent..]);
        }
        self.waiting
            .extend_from_slice(&bytes[sent.saturating_sub(header.len())..]);
        if !self.waiting.is_empty() {
            self.stuck_since.get_or_insert_with(Instant::now);
        }
    }

    pub(crate) fn flush(&mut self) {
        while self.sent < self.waiting.len() {
            match rustix::net::send(
                &self.socket,
                &self.waiting[self.sent..],
                SendFlags::NOSIGNAL,
            ) {
                Ok(count) => {
                    self.sent += count;
                    self.stuck_since = Some(Instant::now());
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.waiting.drain(..self.sent);
                    self.sent = 0;
                    return;
                }
                Err(_) => return self.hung_up(),
            }
        }
        self.waiting = Vec::new();
        self.sent = 0;
        self.stuck_since = None;
    }

    /// Takes what the peer says, once.
    pub(crate) fn read_into(&mut self, input: &mut Input) {
        if self.input_over || !input.has_room() {
            return;
        }
        let mut buffer = [0; 16 * 1024];
        match rustix::io::read(&self.socket, &mut buffer) {
            Ok(0) => {
                self.input_over = true;
                // A daemon that was killed has closed both ways at once: that is not the end of its client's input.
                // Its hang-up shows at the latest now.
                if self.has_peer() {
                    if self.stdin {
                        input.client_ended();
                    }
                } else {
                    self.hung_up();
                    if self.stdin {
                        input.client_gone();
                    }
                }
            }
            Ok(count) => {
                if self.stdin {
                    input.push(&buffer[..count]);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.input_over = true;
                self.hung_up();
                if self.stdin {
                    input.client_gone();
                }
            }
        }
    }

    fn has_peer(&self) -> bool {
        let mut list = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut list, Some(&now)).is_ok()
            && !list[0]
                .revents()
                .intersects(PollFlags::HUP | PollFlags::ERR)
    }
}
