//! Bytes with descriptors over unix sockets (SCM_RIGHTS).

use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// Most descriptors one message may carry (`SCM_MAX_FD`).
pub const MAX_FDS: usize = 253;

/// Sends `bytes` with `fds` attached to the first of them; returns how many bytes were taken. SIGPIPE is never raised.
///
/// # Errors
/// `EAGAIN` on a full non-blocking socket, `EPIPE` when the peer is gone, `EINVAL` for no bytes or more than [`MAX_FDS`] descriptors.
pub fn send_with_fds(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.len() > MAX_FDS || bytes.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut space = vec![MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(fds).size()];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(
            &socket,
            &[IoSlice::new(bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )
    })?)
}

/// Receives up to `buffer.len()` bytes and the descriptors that came with them, close-on-exec, added to `fds`.
/// Returns the count of bytes; 0 is the end of the stream.
///
/// # Errors
/// `EAGAIN` on an empty non-blocking socket; `InvalidData` when the kernel had to drop descriptors for want of room.
pub fn recv_with_fds(
    socket: impl AsFd,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(
            &socket,
            &mut [IoSliceMut::new(buffer)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    for control in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = control {
            fds.extend(rights);
        }
    }
    if message.flags.contains(rustix::net::ReturnFlags::CTRUNC) {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    Ok(message.bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_cross_with_their_bytes() -> io::Result<()> {
        let (left, right) = UnixStream::pair()?;
        let (mut far, near) = UnixStream::pair()?;
        assert_eq!(send_with_fds(&left, b"hello", &[near.as_fd()])?, 5);
        drop(near);
        let mut buffer = [0; 16];
        let mut fds = Vec::new();
        assert_eq!(recv_with_fds(&right, &mut buffer, &mut fds)?, 5);
        assert_eq!(&buffer[..5], b"hello");
        assert_eq!(fds.len(), 1);
        far.write_all(b"x")?;
        let mut one = [0; 1];
        assert_eq!(rustix::io::read(&fds[0], &mut one)?, 1);
        drop(left);
        assert_eq!(recv_with_fds(&right, &mut buffer, &mut fds)?, 0);
        Ok(())
    }
}
