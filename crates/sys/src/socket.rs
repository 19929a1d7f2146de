//! Sockets: what the peer has not read yet.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes (with the kernel's own beside them) that were sent over a unix stream socket and that the peer has not read:
/// `SIOCOUTQ` of unix(7). Zero means that it has read all. On TCP it is what the peer has not acknowledged.
///
/// # Errors
/// When this is no socket that counts.
pub fn unread_by_peer(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the request writes one int to the address, which is that of a live one.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_was_read_is_not_counted() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        assert_eq!(unread_by_peer(near.as_fd()).unwrap(), 0);
        near.write_all(b"head").unwrap();
        assert!(unread_by_peer(near.as_fd()).unwrap() > 0);
        far.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(unread_by_peer(near.as_fd()).unwrap(), 0);
    }
}
