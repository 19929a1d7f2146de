//! Sockets: what the peer has not read yet, what the network reports.

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

/// Errors that the network reports for a connected datagram socket end its calls, also those that may pass, as that a
/// network cannot be reached just now: `IP_RECVERR` of ip(7), `IPV6_RECVERR` of ipv6(7).
///
/// # Errors
/// When this is no socket of that family.
pub fn report_errors(socket: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    let (level, option) = match ipv6 {
        false => (libc::IPPROTO_IP, libc::IP_RECVERR),
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let on: libc::c_int = 1;
    // SAFETY: the option is an int, and that is what the pointer and the length are of.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn errors_are_reported_on_datagrams_of_either_family() {
        for (address, ipv6) in [("127.0.0.1:0", false), ("[::1]:0", true)] {
            // A kernel may be without IPv6.
            if let Ok(socket) = std::net::UdpSocket::bind(address) {
                report_errors(socket.as_fd(), ipv6).unwrap();
            }
        }
        let (near, _far) = UnixStream::pair().unwrap();
        assert!(report_errors(near.as_fd(), false).is_err());
    }

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
