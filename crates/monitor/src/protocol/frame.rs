//! Frames on a stream socket: `u32` LE payload length, `u8` kind, a zero byte, `u16` LE number of descriptors,
//! then the message as JSON.
//!
//! The kernel hands out descriptors no later than the first byte they were sent with, in order; so a queue and the
//! number in the header say whose they are, however the bytes were cut.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FromMonitor, ToMonitor};

/// The largest message, in bytes of JSON.
pub const MAX_PAYLOAD: usize = 8 << 20;
const HEADER: usize = 8;
/// The kernel's SCM_MAX_FD.
const MAX_FDS_AT_ONCE: usize = 253;
/// What one connection may have waiting.
const MAX_FDS: usize = 16 * 1024;

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header says more than [`MAX_PAYLOAD`], or the message to send is that large.
    #[error("frame of {0} bytes is too large")]
    TooLarge(usize),
    /// Not a kind that is spoken in this direction.
    #[error("unexpected frame of kind {0}")]
    Kind(u8),
    /// Fewer descriptors came than the header promises.
    #[error("frame without its {0} descriptors")]
    MissingDescriptors(usize),
    /// More descriptors than go with one frame.
    #[error("{0} descriptors are too many for one frame")]
    TooManyDescriptors(usize),
    /// The payload is no such message.
    #[error("malformed message")]
    Malformed(#[source] serde_json::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// A message of one direction.
pub trait Message: Serialize + DeserializeOwned {
    /// The kind byte of its frames.
    const KIND: u8;
}

impl Message for ToMonitor {
    const KIND: u8 = 1;
}

impl Message for FromMonitor {
    const KIND: u8 = 2;
}

/// The bytes of one frame that goes with `descriptors` descriptors.
///
/// # Errors
/// A message that is too large or holds a path that is not UTF-8.
pub fn encode<M: Message>(message: &M, descriptors: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, message).map_err(Error::Malformed)?;
    let length = bytes.len() - HEADER;
    let count = u16::try_from(descriptors).map_err(|_| Error::TooManyDescriptors(descriptors))?;
    if length > MAX_PAYLOAD {
        return Err(Error::TooLarge(length));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    bytes[4] = M::KIND;
    bytes[6..8].copy_from_slice(&count.to_le_bytes());
    Ok(bytes)
}

/// A frame on its way out; knows how far it is.
#[derive(Debug)]
pub struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: VecDeque<OwnedFd>,
}

impl Outgoing {
    /// A message and what goes with it.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn new<M: Message>(message: &M, descriptors: Vec<OwnedFd>) -> Result<Self, Error> {
        if descriptors.len() > HEADER * MAX_FDS_AT_ONCE {
            return Err(Error::TooManyDescriptors(descriptors.len()));
        }
        Ok(Self {
            bytes: encode(message, descriptors.len())?,
            sent: 0,
            descriptors: descriptors.into(),
        })
    }

    /// Sends as much as the socket takes in one call; `Ok(true)` when all is sent.
    ///
    /// # Errors
    /// The socket's: `WouldBlock` where it does not block.
    pub fn send(&mut self, socket: impl AsFd) -> io::Result<bool> {
        // While descriptors wait, the last byte waits too: they must not come later than their frame.
        let count = self.descriptors.len().min(MAX_FDS_AT_ONCE);
        let rest = &self.bytes[self.sent..];
        let end = if self.descriptors.len() > count {
            1
        } else {
            rest.len()
        };
        let passing: Vec<BorrowedFd<'_>> = self
            .descriptors
            .iter()
            .take(count)
            .map(AsFd::as_fd)
            .collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS_AT_ONCE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !passing.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&passing));
        }
        let sent = sendmsg(
            socket,
            &[IoSlice::new(&rest[..end])],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        self.sent += sent;
        self.descriptors.drain(..count);
        Ok(self.sent == self.bytes.len())
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The socket's.
    pub fn send_all(mut self, socket: impl AsFd) -> io::Result<()> {
        loop {
            match self.send(socket.as_fd()) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Puts frames together from bytes and descriptors as they come.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    taken: usize,
    descriptors: VecDeque<OwnedFd>,
}

impl Decoder {
    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes descriptors, which must come no later than the bytes they were received with.
    pub fn push_descriptors(&mut self, descriptors: impl IntoIterator<Item = OwnedFd>) {
        self.descriptors.extend(descriptors);
    }

    /// The next message and its descriptors; `None`: more bytes are needed.
    ///
    /// # Errors
    /// What came is no such frame: the connection is of no use any more.
    #[allow(
        clippy::should_implement_trait,
        reason = "it is told what to look for, and can fail"
    )]
    pub fn next<M: Message>(&mut self) -> Result<Option<(M, Vec<OwnedFd>)>, Error> {
        let rest = &self.bytes[self.taken..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else {
            self.compact();
            return Ok(None);
        };
        let [a, b, c, d, kind, _, low, high] = *header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let count = usize::from(u16::from_le_bytes([low, high]));
        if kind != M::KIND {
            return Err(Error::Kind(kind));
        }
        if length > MAX_PAYLOAD {
            return Err(Error::TooLarge(length));
        }
        let Some(payload) = rest.get(..length) else {
            self.compact();
            return Ok(None);
        };
        if self.descriptors.len() < count {
            return Err(Error::MissingDescriptors(count));
        }
        let message = serde_json::from_slice(payload).map_err(Error::Malformed)?;
        self.taken += HEADER + length;
        let descriptors = self.descriptors.drain(..count).collect();
        self.compact();
        Ok(Some((message, descriptors)))
    }

    /// The bytes behind the last frame: the begin of the raw stream of an attach or exec connection.
    pub fn into_rest(self) -> Vec<u8> {
        let mut rest = self.bytes;
        rest.drain(..self.taken);
        rest
    }

    fn compact(&mut self) {
        if self.taken == self.bytes.len() {
            self.bytes = Vec::new(); // a launch is large and comes once
        } else if self.taken > 0 {
            self.bytes.drain(..self.taken);
        }
        self.taken = 0;
    }
}

/// Receives once into the decoder; 0 bytes: the peer has ended its side.
///
/// # Errors
/// The socket's (`WouldBlock` where it does not block), and `InvalidData` when descriptors were lost or are too many.
pub fn receive(socket: impl AsFd, decoder: &mut Decoder) -> io::Result<usize> {
    let mut buffer = [0; 8 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS_AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut buffer)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            decoder.push_descriptors(descriptors);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) || decoder.descriptors.len() > MAX_FDS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "descriptors were lost",
        ));
    }
    decoder.push(&buffer[..received.bytes]);
    Ok(received.bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn signal(number: i32) -> ToMonitor {
        ToMonitor::Signal { signal: number }
    }

    #[test]
    fn frames_come_out_however_they_are_cut() {
        let mut bytes = Vec::new();
        for number in 0..50 {
            bytes.extend(encode(&signal(number), 0).unwrap());
        }
        bytes.extend_from_slice(b"raw");
        for step in [1, 7, 8, 9, 1000, bytes.len()] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(step) {
                decoder.push(piece);
                while seen.len() < 50
                    && let Some((ToMonitor::Signal { signal }, _)) = decoder.next().unwrap()
                {
                    seen.push(signal);
                }
            }
            assert!(seen.into_iter().eq(0..50), "{step}");
            assert_eq!(decoder.into_rest(), b"raw");
        }
    }

    #[test]
    fn descriptors_stay_with_their_frames() {
        let (left, right) = UnixStream::pair().unwrap();
        let mut decoder = Decoder::default();
        let counts = [0, 3, 0, 1, 253, 254, 700];
        let mut kept = Vec::new();
        for count in counts {
            let mut pipes = Vec::new();
            for _ in 0..count {
                let (read, write) = UnixStream::pair().unwrap();
                kept.push(read);
                pipes.push(write.into());
            }
            let frame = Outgoing::new(&signal(count), pipes).unwrap();
            frame.send_all(&left).unwrap();
        }
        for count in counts {
            let (message, descriptors) = loop {
                match decoder.next::<ToMonitor>().unwrap() {
                    Some(found) => break found,
                    None => assert!(receive(&right, &mut decoder).unwrap() > 0),
                }
            };
            assert!(matches!(message, ToMonitor::Signal { signal } if signal == count));
            assert_eq!(descriptors.len(), count as usize);
        }
        // None was leaked on the way.
        for mut pipe in kept {
            assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let next = |bytes: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            decoder.next::<ToMonitor>().map(|found| found.is_some())
        };
        assert!(matches!(next(&[0; 7]), Ok(false)));
        assert!(matches!(next(&[1, 0, 0, 0, 1, 0, 0, 0]), Ok(false)));
        assert!(matches!(
            next(&[1, 0, 0, 0, 2, 0, 0, 0]),
            Err(Error::Kind(2))
        ));
        assert!(matches!(
            next(&[0, 0, 0, 1, 1, 0, 0, 0]),
            Err(Error::TooLarge(_))
        ));
        assert!(matches!(
            next(&[1, 0, 0, 0, 1, 0, 0, 0, b'{']),
            Err(Error::Malformed(_))
        ));
        let short = next(&[1, 0, 0, 0, 1, 0, 1, 0, b'1']);
        assert!(matches!(short, Err(Error::MissingDescriptors(1))));
        let many = (0..2025)
            .map(|_| std::fs::File::open("/dev/null").unwrap().into())
            .collect();
        let refused = Outgoing::new(&signal(1), many);
        assert!(matches!(refused, Err(Error::TooManyDescriptors(2025))));
    }
}
