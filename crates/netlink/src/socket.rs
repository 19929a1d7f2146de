//! One netlink socket. The kernel handles a batch inside `sendmsg`, so when that returns every answer waits in our
//! receive queue: answers are read without blocking until the queue is empty, and none is left for the next batch.

use std::borrow::Cow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use onggi_sys::netlink::NetlinkOption;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::error::{Error, Result};
use crate::message::{Attributes, HEADER, Message};

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const DUMP_INTERRUPTED: u16 = 0x10;
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NLMSGERR_ATTR_MSG`.
const ERROR_TEXT: u16 = 1;
/// Larger than any datagram the kernel makes for a dump (32 KiB) or a notification.
const RECEIVE: usize = 128 * 1024;
/// Dumps that others keep changing are begun again this often.
const DUMP_TRIES: usize = 32;

/// Which part of the kernel a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, rules: a batch is one `sendmsg`, its messages are done one by one.
    Route,
    /// nftables: a batch is one transaction, all or nothing.
    Nftables,
    /// Connection tracking: as [`Protocol::Route`].
    Conntrack,
    /// The sockets of processes, to look at.
    Sockets,
}

/// Messages that go to the kernel together.
#[derive(Debug, Default)]
pub struct Batch(Vec<(Cow<'static, str>, Message)>);

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message; `what` names the step in errors ("create bridge onggi0").
    pub fn push(&mut self, what: impl Into<Cow<'static, str>>, message: Message) -> &mut Self {
        self.0.push((what.into(), message));
        self
    }

    /// Adds the messages of a change that needs several.
    pub fn extend(
        &mut self,
        what: &'static str,
        messages: impl IntoIterator<Item = Message>,
    ) -> &mut Self {
        self.0.extend(
            messages
                .into_iter()
                .map(|message| (Cow::Borrowed(what), message)),
        );
        self
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One message of an answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// `nlmsg_type`.
    pub kind: u16,
    /// The netlink port of the request it belongs to; in notifications, of whoever made the change.
    pub port: u32,
    /// Everything after the header.
    pub body: Vec<u8>,
}

impl Reply {
    /// The attributes behind a fixed part of `fixed` bytes.
    #[must_use]
    pub fn attributes(&self, fixed: usize) -> Attributes<'_> {
        Attributes::new(self.body.get(fixed..).unwrap_or_default())
    }
}

/// A netlink socket; it belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    protocol: Protocol,
    sequence: u32,
    buffer: Vec<u8>,
    received: u64,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::Socket`] when the kernel does not have this part.
    pub fn open(protocol: Protocol) -> Result<Self> {
        let number = match protocol {
            Protocol::Route => None,
            Protocol::Nftables | Protocol::Conntrack => Some(rustix::net::netlink::NETFILTER),
            Protocol::Sockets => Some(rustix::net::netlink::SOCK_DIAG),
        };
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            number,
        )
        .map_err(|errno| Error::socket("open", errno))?;
        // A bound port is what the kernel knows the owner of a table by.
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0))
            .map_err(|errno| Error::socket("bind", errno))?;
        for option in [NetlinkOption::CapAck, NetlinkOption::ExtAck] {
            onggi_sys::netlink::enable(&fd, option)
                .map_err(|error| Error::socket("set options", error))?;
        }
        Ok(Self {
            fd,
            protocol,
            sequence: 0,
            buffer: Vec::new(),
            received: 0,
        })
    }

    /// Sends the batch with one `sendmsg` and reads every answer. Nothing happens for an empty batch.
    ///
    /// # Errors
    /// The first message that the kernel refused. With [`Protocol::Nftables`] nothing has changed then; with the others
    /// the rest of the batch has been tried too.
    pub fn transact(&mut self, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (bytes, first, names) = self.encode(batch)?;
        self.send(&bytes)?;
        let last = first
            .wrapping_add(u32::try_from(names.len()).unwrap_or(u32::MAX))
            .wrapping_sub(1);
        let mut refused = None;
        let mut acknowledged = false;
        while let Some(answers) = self.receive(RecvFlags::DONTWAIT)? {
            for answer in answers {
                if answer.kind != ERROR {
                    continue;
                }
                let index =
                    usize::try_from(answer.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                acknowledged |= answer.sequence == last;
                if let Some((errno, text)) = answer.error() {
                    // Outside the names: the whole transaction, answered on its opening message.
                    let what = names.get(index).map_or("commit", |what| what.as_ref());
                    refused.get_or_insert_with(|| Error::Refused {
                        what: what.to_owned(),
                        errno,
                        text,
                    });
                }
            }
        }
        match refused {
            Some(error) => Err(error),
            None if acknowledged => Ok(()),
            None => Err(Error::Unreadable {
                what: "the batch was not acknowledged",
            }),
        }
    }

    /// Asks for everything that `message` names and returns all answers of one consistent dump.
    ///
    /// # Errors
    /// What the kernel refused; [`Error::Unreadable`] when others change the tables faster than they can be read.
    pub fn dump(&mut self, what: &'static str, message: Message) -> Result<Vec<Reply>> {
        let template = message.finish()?;
        for _ in 0..DUMP_TRIES {
            let mut bytes = template.clone();
            self.sequence = self.sequence.wrapping_add(1);
            stamp(&mut bytes, REQUEST | DUMP, self.sequence);
            self.send(&bytes)?;
            match self.collect(what)? {
                Some(replies) => return Ok(replies),
                None => continue,
            }
        }
        Err(Error::Unreadable {
            what: "dump interrupted again and again",
        })
    }

    /// Asks for the one thing that `message` names; `None` where it is not there.
    ///
    /// # Errors
    /// What else the kernel refused.
    pub fn ask(&mut self, what: &'static str, message: Message) -> Result<Option<Reply>> {
        let mut bytes = message.finish()?;
        self.sequence = self.sequence.wrapping_add(1);
        stamp(&mut bytes, REQUEST | ACK, self.sequence);
        self.send(&bytes)?;
        match self.collect(what) {
            Ok(replies) => Ok(replies.and_then(|mut replies| replies.pop())),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The messages of the next notification of the joined groups, or `None` when there is none; never waits.
    ///
    /// # Errors
    /// [`Error::Socket`], with `ENOBUFS` when notifications were lost.
    pub fn notification(&mut self) -> Result<Option<Vec<Reply>>> {
        let reply = |answer: Answer| Reply {
            kind: answer.kind,
            port: answer.port,
            body: answer.body,
        };
        Ok(self
            .receive(RecvFlags::DONTWAIT)?
            .map(|answers| answers.into_iter().map(reply).collect()))
    }

    /// The socket's own netlink port.
    ///
    /// # Errors
    /// [`Error::Socket`].
    pub fn port(&self) -> Result<u32> {
        let address = rustix::net::getsockname(&self.fd)
            .map_err(|errno| Error::socket("getsockname", errno))?;
        let address = SocketAddrNetlink::try_from(address)
            .map_err(|errno| Error::socket("getsockname", errno))?;
        Ok(address.pid())
    }

    /// Bytes that the kernel has sent us so far: a measure of what was asked of it.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Subscribes to the multicast group with this number.
    ///
    /// # Errors
    /// [`Error::Socket`].
    pub fn join(&self, group: u32) -> Result<()> {
        onggi_sys::netlink::join_group(&self.fd, group)
            .map_err(|error| Error::socket("join group", error))
    }

    fn collect(&mut self, what: &'static str) -> Result<Option<Vec<Reply>>> {
        let mut replies = Vec::new();
        let mut interrupted = false;
        loop {
            for answer in self.receive(RecvFlags::empty())?.unwrap_or_default() {
                if answer.sequence != self.sequence {
                    continue;
                }
                interrupted |= answer.flags & DUMP_INTERRUPTED != 0;
                if answer.kind == ERROR || answer.kind == DONE {
                    return match answer.error() {
                        Some((Errno::INTR, _)) => Ok(None),
                        Some((errno, text)) => Err(Error::Refused {
                            what: what.to_owned(),
                            errno,
                            text,
                        }),
                        None if interrupted => Ok(None),
                        None => Ok(Some(replies)),
                    };
                }
                replies.push(Reply {
                    kind: answer.kind,
                    port: answer.port,
                    body: answer.body,
                });
            }
        }
    }

    /// The bytes of the batch, the sequence number of its first message, and what each message is.
    fn encode(&mut self, batch: Batch) -> Result<(Vec<u8>, u32, Vec<Cow<'static, str>>)> {
        let transaction = self.protocol == Protocol::Nftables;
        let mut bytes = Vec::new();
        if transaction {
            bytes.extend(self.bracket(BATCH_BEGIN)?);
        }
        let first = self.sequence.wrapping_add(1);
        let count = batch.0.len();
        let mut names = Vec::with_capacity(count);
        for (index, (what, message)) in batch.0.into_iter().enumerate() {
            let mut message = message.finish()?;
            self.sequence = self.sequence.wrapping_add(1);
            // A transaction answers errors for every message anyway; one acknowledgement is enough to know it was done.
            let ack = if !transaction || index + 1 == count {
                ACK
            } else {
                0
            };
            stamp(&mut message, REQUEST | ack, self.sequence);
            bytes.extend(message);
            names.push(what);
        }
        if transaction {
            bytes.extend(self.bracket(BATCH_END)?);
        }
        Ok((bytes, first, names))
    }

    fn bracket(&mut self, kind: u16) -> Result<Vec<u8>> {
        let mut message = Message::new(kind, 0);
        let [high, low] = NFTABLES.to_be_bytes();
        message.raw(&[0, 0, high, low]);
        let mut bytes = message.finish()?;
        self.sequence = self.sequence.wrapping_add(1);
        stamp(&mut bytes, REQUEST, self.sequence);
        Ok(bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > 64 * 1024 {
            // The kernel counts a send buffer twice; a large transaction must go in one piece all the same.
            sockopt::set_socket_send_buffer_size_force(&self.fd, bytes.len() * 2)
                .map_err(|errno| Error::socket("enlarge the send buffer", errno))?;
        }
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendto(&self.fd, bytes, SendFlags::empty(), &kernel)
        })
        .map_err(|errno| Error::socket("send", errno))?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(Error::socket("send", Errno::MSGSIZE))
        }
    }

    /// The messages of the next datagram; `None` when there is none and we do not wait.
    fn receive(&mut self, flags: RecvFlags) -> Result<Option<Vec<Answer>>> {
        self.buffer.resize(RECEIVE, 0);
        let buffer = self.buffer.as_mut_slice();
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvfrom(&self.fd, &mut *buffer, flags | RecvFlags::TRUNC)
        });
        let (_, length, from) = match received {
            Ok(received) => received,
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(Error::socket("receive", errno)),
        };
        let from_kernel = from
            .and_then(|address| SocketAddrNetlink::try_from(address).ok())
            .is_some_and(|address| address.pid() == 0);
        if !from_kernel {
            return Ok(Some(Vec::new()));
        }
        self.received += u64::try_from(length).unwrap_or(u64::MAX);
        let datagram = self.buffer.get(..length).ok_or(Error::Unreadable {
            what: "datagram cut off",
        })?;
        split(datagram).map(Some)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// One message as it came.
struct Answer {
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
    body: Vec<u8>,
}

impl Answer {
    /// The error of an `NLMSG_ERROR` or `NLMSG_DONE`; `None` is success.
    fn error(&self) -> Option<(Errno, Option<String>)> {
        let code = i32::from_ne_bytes(self.body.get(..4)?.try_into().ok()?);
        if code >= 0 {
            return None;
        }
        let text = (self.flags & ACK_TLVS != 0)
            .then(|| self.error_text())
            .flatten();
        Some((Errno::from_raw_os_error(code.saturating_neg()), text))
    }

    fn error_text(&self) -> Option<String> {
        let offset = if self.kind == DONE {
            4
        } else if self.flags & CAPPED != 0 {
            4 + HEADER
        } else {
            let inner = u32::from_ne_bytes(self.body.get(4..8)?.try_into().ok()?);
            4 + usize::try_from(inner).ok()?.next_multiple_of(4)
        };
        let text = Attributes::new(self.body.get(offset..)?).text(ERROR_TEXT)?;
        Some(text.to_owned())
    }
}

fn stamp(bytes: &mut [u8], flags: u16, sequence: u32) {
    let given = u16::from_ne_bytes([bytes[6], bytes[7]]);
    bytes[6..8].copy_from_slice(&(given | flags).to_ne_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
}

fn split(mut datagram: &[u8]) -> Result<Vec<Answer>> {
    const CUT: Error = Error::Unreadable {
        what: "message cut off",
    };
    let mut answers = Vec::new();
    while !datagram.is_empty() {
        let header = datagram.get(..HEADER).ok_or(CUT)?;
        let number = |at: usize| {
            u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let short = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = usize::try_from(number(0)).map_err(|_| CUT)?;
        let body = datagram.get(HEADER..length).ok_or(CUT)?.to_vec();
        answers.push(Answer {
            kind: short(4),
            flags: short(6),
            sequence: number(8),
            port: number(12),
            body,
        });
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_bracketed_and_acknowledged_once() {
        let mut socket = Socket::open(Protocol::Nftables).unwrap();
        let mut batch = Batch::new();
        batch
            .push("one", Message::new(0x0a00, 0))
            .push("two", Message::new(0x0a01, 0));
        let (bytes, first, names) = socket.encode(batch).unwrap();
        assert_eq!((first, names.len()), (2, 2));
        #[rustfmt::skip]
        let golden = [
            20, 0, 0, 0, 0x10, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
            16, 0, 0, 0, 0x00, 10, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0,
            16, 0, 0, 0, 0x01, 10, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0,
            20, 0, 0, 0, 0x11, 0, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
        ];
        assert_eq!(bytes, golden);
    }

    #[test]
    fn cut_datagrams_are_refused() {
        assert!(split(&[1, 2, 3]).is_err());
        let mut bytes = vec![0; 16];
        bytes[0] = 20;
        assert!(split(&bytes).is_err());
        bytes[0] = 4; // shorter than its own header
        assert!(split(&bytes).is_err());
    }
}
