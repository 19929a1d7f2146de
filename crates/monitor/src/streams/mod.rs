//! One process' stdin, stdout, stderr and who is attached to them.
//!
//! Kept true: no byte is dropped for a client that reads, however slowly; memory is bounded, because a source that a client lags
//! behind on is not read: the process waits, as it would on a slow terminal. A client that is gone holds nobody up, and one
//! that reads nothing at all holds no other client up for long: it is left behind, its connection ended.

mod client; // one attached connection
mod input; // the process' stdin

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use onggi_logs::Stream;
use rustix::event::PollFlags;
use rustix::io::Errno;

pub(crate) use client::Client;
pub(crate) use input::{EndsWith, Input};

use crate::events::{Interests, Owner, Token};
use crate::log::Log;

/// As much as a pipe holds.
const CHUNK: usize = 64 * 1024;
/// A client that reads nothing for so long while others wait is left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(10);
/// Reads of one source in one round.
const READS: usize = 4;
/// At the end of a process what is in its pipes is read, and they hold no more than this (`pipe-max-size`).
const MOST_AT_END: usize = 1 << 20;

/// The buffer that output passes through, shared by all streams of the monitor.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    bytes: Vec<u8>,
    pub(crate) used: Option<Instant>,
}

impl Scratch {
    /// Gives the memory back.
    pub(crate) fn free(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = vec![0; CHUNK];
        }
        &mut self.bytes
    }
}

/// Who holds a process up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Nobody.
    Free,
    /// Clients that lag behind.
    Bounded,
    /// Nothing is read for now.
    Held,
}

/// A stream the process writes to.
#[derive(Debug)]
struct Source {
    stream: Stream,
    descriptor: OwnedFd,
}

/// Streams and clients of one process.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// A terminal: one stream, raw bytes, and the terminal itself for its size.
    terminal: bool,
    /// Our own hold on the terminal's other side: without it, it would hang up whenever no process has it open.
    hold: Option<OwnedFd>,
    sources: Vec<Option<Source>>,
    pub(crate) input: Input,
    clients: Vec<Option<Client>>,
}

impl Streams {
    /// Takes the ends of the pipes that are ours.
    pub(crate) fn with_pipes(&mut self, ours: Ours) -> rustix::io::Result<()> {
        match ours.stdin {
            Some((pipe, ends_with)) => self.input.open_pipe(pipe, ends_with)?,
            None => self.input.close(),
        }
        for (stream, descriptor) in [(Stream::Stdout, ours.stdout), (Stream::Stderr, ours.stderr)] {
            if let Some(descriptor) = descriptor {
                rustix::io::ioctl_fionbio(&descriptor, true)?;
                self.sources.push(Some(Source { stream, descriptor }));
            }
        }
        Ok(())
    }

    /// Takes a terminal's master.
    pub(crate) fn with_terminal(&mut self, master: OwnedFd, stdin: bool) -> rustix::io::Result<()> {
        use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
        rustix::io::ioctl_fionbio(&master, true)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        self.hold = Some(ioctl_tiocgptpeer(&master, flags)?);
        self.terminal = true;
        if stdin {
            self.input
                .open_terminal(rustix::io::fcntl_dupfd_cloexec(&master, 3)?);
        } else {
            self.input.close();
        }
        self.sources.push(Some(Source {
            stream: Stream::Stdout,
            descriptor: master,
        }));
        Ok(())
    }

    /// The size of the terminal, if it is one.
    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        if !self.terminal {
            return;
        }
        if let Some(Some(source)) = self.sources.first() {
            // A terminal that has just gone has no size.
            let _ = onggi_sys::pty::resize(&source.descriptor, rows, cols);
        }
    }

    /// The process is gone: what it has written is all there is, and then comes the end.
    pub(crate) fn process_ended(&mut self) {
        self.hold = None;
        self.input.close();
    }

    pub(crate) fn attach(&mut self, client: Client) {
        match self.clients.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(client),
            None => self.clients.push(Some(client)),
        }
    }

    /// All sources have ended.
    pub(crate) fn are_drained(&self) -> bool {
        self.sources.iter().all(Option::is_none)
    }

    pub(crate) fn has_clients(&self) -> bool {
        self.clients.iter().any(Option::is_some)
    }

    /// Ends the clients' connections as soon as each has got what waits for it.
    pub(crate) fn end_clients(&mut self) {
        for slot in &mut self.clients {
            if let Some(client) = slot {
                client.ending = true;
                if client.is_over() {
                    *slot = None;
                }
            }
        }
    }

    /// Ends the connections of those who have read nothing for long while others wait for them. A client that is alone
    /// may take its time: nobody else waits, but the process, as on a terminal.
    pub(crate) fn leave_behind(&mut self) {
        for index in 0..self.clients.len() {
            let Some(client) = &self.clients[index] else {
                continue;
            };
            if client
                .stuck_since()
                .is_some_and(|since| since.elapsed() >= LEFT_BEHIND)
                && self.holds_others_up(index)
            {
                if client.stdin() {
                    self.input.client_gone();
                }
                self.clients[index] = None;
            }
        }
    }

    /// Whether another client has all there is of a stream that this one holds up.
    fn holds_others_up(&self, index: usize) -> bool {
        let Some(Some(client)) = self.clients.get(index) else {
            return false;
        };
        let shares = |other: &Client| {
            let streams = [Stream::Stdout, Stream::Stderr];
            let mut shared = streams.into_iter().filter(|s| client.wants(*s));
            shared.any(|stream| other.wants(stream)) && !other.is_lagging() && !other.is_over()
        };
        let mut others = self.clients.iter().enumerate();
        client.is_lagging()
            && others.any(|(at, other)| at != index && other.as_ref().is_some_and(shares))
    }

    /// What to wait for. Sources that a client lags behind on are left alone where the `pace` is bounded.
    pub(crate) fn interests<'fd>(&'fd self, owner: Owner, pace: Pace, list: &mut Interests<'fd>) {
        for (index, client) in self.clients.iter().enumerate() {
            if let Some(since) = client.as_ref().and_then(Client::stuck_since)
                && self.holds_others_up(index)
            {
                list.until(since + LEFT_BEHIND);
            }
        }
        for (index, source) in self.sources.iter().enumerate() {
            if let Some(source) = source
                && self.may_read(source.stream, pace)
            {
                list.add(
                    Token::Output(owner, index),
                    source.descriptor.as_fd(),
                    PollFlags::IN,
                );
            }
        }
        if let Some(descriptor) = self.input.wants_to_write() {
            list.add(Token::Input(owner), descriptor, PollFlags::OUT);
        }
        let room = self.input.has_room();
        for (index, client) in self.clients.iter().enumerate() {
            if let Some(client) = client
                && let Some(flags) = client.interest(room)
            {
                list.add(Token::Client(owner, index), client.descriptor(), flags);
            }
        }
    }

    fn may_read(&self, stream: Stream, pace: Pace) -> bool {
        match pace {
            Pace::Free => true,
            Pace::Bounded => !self.lagging(stream),
            Pace::Held => false,
        }
    }

    fn lagging(&self, stream: Stream) -> bool {
        self.clients
            .iter()
            .flatten()
            .any(|client| client.wants(stream) && client.is_lagging())
    }

    /// A source has something: to the log, to the clients.
    pub(crate) fn read(
        &mut self,
        index: usize,
        pace: Pace,
        mut log: Option<&mut Log>,
        scratch: &mut Scratch,
    ) {
        for _ in 0..READS {
            let Some(Some(source)) = self.sources.get(index) else {
                return;
            };
            let stream = source.stream;
            if !self.may_read(stream, pace) {
                return;
            }
            match self.read_once(index, &mut log, scratch) {
                Some(CHUNK) => {}
                _ => return,
            }
        }
    }

    /// Reads what is in the pipes now and takes them as ended: who still holds them open is not the process.
    pub(crate) fn read_to_end(&mut self, mut log: Option<&mut Log>, scratch: &mut Scratch) {
        for index in 0..self.sources.len() {
            let mut all = 0;
            while all < MOST_AT_END {
                match self.read_once(index, &mut log, scratch) {
                    Some(count) => all += count,
                    None => break,
                }
            }
            self.sources[index] = None;
        }
    }

    /// `None`: nothing now, or the end (then the source is gone).
    fn read_once(
        &mut self,
        index: usize,
        log: &mut Option<&mut Log>,
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let slot = self.sources.get_mut(index)?;
        let source = slot.as_ref()?;
        let stream = source.stream;
        let space = scratch.space();
        let count = match rustix::io::read(&source.descriptor, &mut *space) {
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return None,
            // EIO: a terminal whose other side is closed.
            Err(_) => 0,
        };
        if count == 0 {
            *slot = None;
            return None;
        }
        let bytes = &space[..count];
        let now = Timestamp::now();
        if let Some(log) = log {
            log.write(stream, now, bytes);
        }
        for client in self.clients.iter_mut().flatten() {
            if client.wants(stream) {
                client.send(stream, bytes, !self.terminal);
            }
        }
        scratch.used = Some(Instant::now());
        Some(count)
    }

    /// A client can take more, has something to say, or is gone.
    pub(crate) fn serve(&mut self, index: usize, flags: PollFlags) {
        let Some(slot) = self.clients.get_mut(index) else {
            return;
        };
        let Some(client) = slot else { return };
        if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            client.hung_up();
        }
        if flags.contains(PollFlags::OUT) {
            client.flush();
        }
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            client.read_into(&mut self.input);
        }
        if client.is_over() {
            *slot = None;
        }
    }
}

/// What a process gets as stdin, stdout, stderr.
pub(crate) type Theirs = [OwnedFd; 3];

/// The ends of a process' pipes that are ours.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    pub(crate) stdin: Option<(OwnedFd, EndsWith)>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
}

/// Pipes for the streams that are wanted, /dev/null for the others.
pub(crate) fn pipes(
    stdin: Option<EndsWith>,
    stdout: bool,
    stderr: bool,
) -> std::io::Result<(Theirs, Ours)> {
    use rustix::pipe::{PipeFlags, pipe_with};
    let mut ours = Ours::default();
    let theirs_in = match stdin {
        Some(ends_with) => {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            ours.stdin = Some((write, ends_with));
            read
        }
        None => null()?,
    };
    let output = |wanted: bool, slot: &mut Option<OwnedFd>| -> std::io::Result<OwnedFd> {
        if !wanted {
            return null();
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        *slot = Some(read);
        Ok(write)
    };
    let theirs_out = output(stdout, &mut ours.stdout)?;
    let theirs_err = output(stderr, &mut ours.stderr)?;
    Ok(([theirs_in, theirs_out, theirs_err], ours))
}

/// Nothing to read, nobody to write to.
fn null() -> std::io::Result<OwnedFd> {
    use std::fs::OpenOptions;
    Ok(OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into())
}

fn borrow(descriptor: &OwnedFd) -> BorrowedFd<'_> {
    descriptor.as_fd()
}
