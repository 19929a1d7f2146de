//! The socket between the parent and the child that becomes the container's process: packets, close-on-exec, so that its end
//! without a word means the program was executed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Longest packet; texts are cut to fit.
const MAX_PACKET: usize = 64 << 10;
const MAX_TEXT: usize = 4 << 10;
const MAX_WARNINGS: usize = 64;

/// One end.
#[derive(Debug)]
pub(crate) struct Sync {
    socket: OwnedFd,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromChild {
    /// All is made but the program; with a terminal its master comes along.
    Ready { warnings: Vec<String> },
    /// It ends now, and why.
    Failed(Error),
}

/// What the parent says: one byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FromParent {
    /// Execute the program.
    Start,
    /// The parent is gone or wants you gone.
    End,
}

/// A connected pair: the parent's and the child's end.
pub(crate) fn pair() -> io::Result<(Sync, Sync)> {
    let (parent, child) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((Sync { socket: parent }, Sync { socket: child }))
}

impl Sync {
    /// The same end under another number.
    pub(crate) fn map(
        self,
        change: impl FnOnce(OwnedFd) -> io::Result<OwnedFd>,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: change(self.socket)?,
        })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The child tells the parent.
    pub(crate) fn tell(&self, message: FromChild, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let message = match message {
            FromChild::Ready { mut warnings } => {
                warnings.truncate(MAX_WARNINGS);
                for warning in &mut warnings {
                    cut(warning, MAX_TEXT / 8);
                }
                FromChild::Ready { warnings }
            }
            failed @ FromChild::Failed(_) => failed,
        };
        let mut bytes = serde_json::to_vec(&message)?;
        if bytes.len() > MAX_PACKET {
            let FromChild::Failed(error) = message else {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            };
            let mut text = error.to_string();
            cut(&mut text, MAX_TEXT);
            bytes = serde_json::to_vec(&FromChild::Failed(Error::Internal(text)))?;
        }
        onggi_sys::scm::send_with_fds(&self.socket, &bytes, fds)?;
        Ok(())
    }

    /// The parent hears the child: `None` when it has closed its end. Descriptors are added to `fds`.
    pub(crate) fn hear(&self, fds: &mut Vec<OwnedFd>) -> io::Result<Option<FromChild>> {
        let mut buffer = vec![0; MAX_PACKET];
        let mut result = onggi_sys::scm::recv_with_fds(&self.socket, &mut buffer, fds);
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::ConnectionReset
        {
            // A child that ends with an unread order of ours leaves a reset, which is reported once and before its last words.
            result = onggi_sys::scm::recv_with_fds(&self.socket, &mut buffer, fds);
        }
        let count = match result {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            other => other?,
        };
        if count == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&buffer[..count])?))
    }

    /// The parent tells the child.
    pub(crate) fn order(&self, order: FromParent) -> io::Result<()> {
        let byte = match order {
            FromParent::Start => b'S',
            FromParent::End => b'E',
        };
        onggi_sys::scm::send_with_fds(&self.socket, &[byte], &[])?;
        Ok(())
    }

    /// The child waits for the next order.
    pub(crate) fn await_order(&self) -> io::Result<FromParent> {
        let mut byte = [0; 1];
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&self.socket, &mut byte))?;
        Ok(match (count, byte[0]) {
            (1, b'S') => FromParent::Start,
            _ => FromParent::End,
        })
    }
}

/// Shortens to at most `limit` bytes at a letter's border.
fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_cross_whole() -> io::Result<()> {
        let (parent, child) = pair()?;
        let error = Error::CommandNotFound {
            command: "foo".into(),
            text: "exec: \"foo\": executable file not found in $PATH".into(),
        };
        child.tell(FromChild::Failed(error.clone()), &[])?;
        drop(child);
        let mut fds = Vec::new();
        match parent.hear(&mut fds)? {
            Some(FromChild::Failed(heard)) => assert_eq!(heard, error),
            other => panic!("heard {other:?}"),
        }
        assert!(parent.hear(&mut fds)?.is_none());
        Ok(())
    }

    #[test]
    fn last_words_are_heard_when_an_order_was_left_unread() -> io::Result<()> {
        let (parent, child) = pair()?;
        parent.order(FromParent::Start)?;
        child.tell(FromChild::Failed(Error::Rootfs("why".into())), &[])?;
        drop(child);
        let heard = parent.hear(&mut Vec::new())?;
        assert!(matches!(heard, Some(FromChild::Failed(Error::Rootfs(_)))));
        assert!(parent.hear(&mut Vec::new())?.is_none());
        Ok(())
    }

    #[test]
    fn a_huge_text_is_cut() -> io::Result<()> {
        let (parent, child) = pair()?;
        let text = "ö".repeat(100_000);
        child.tell(FromChild::Failed(Error::Rootfs(text)), &[])?;
        let heard = parent.hear(&mut Vec::new())?;
        assert!(
            matches!(heard, Some(FromChild::Failed(Error::Internal(text))) if text.len() < 8192)
        );
        Ok(())
    }

    #[test]
    fn orders_arrive_and_hanging_up_is_the_end() -> io::Result<()> {
        let (parent, child) = pair()?;
        parent.order(FromParent::Start)?;
        drop(parent);
        assert_eq!(child.await_order()?, FromParent::Start);
        assert_eq!(child.await_order()?, FromParent::End);
        Ok(())
    }
}
