//! Options of netlink sockets that rustix does not know. Messages are built and read in the crate `netlink`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `NETLINK_GET_STRICT_CHK` of linux/netlink.h, which libc does not carry.
const NETLINK_GET_STRICT_CHK: libc::c_int = 12;

/// The options of `SOL_NETLINK` we use; see netlink(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetlinkOption {
    /// Errors do not carry the request back.
    CapAck,
    /// Errors carry a text and the place of the fault.
    ExtAck,
    /// Dump requests are checked and filtered by the kernel.
    StrictCheck,
}

/// Switches `option` on.
///
/// # Errors
/// `ENOPROTOOPT` on kernels that do not know the option.
pub fn enable(socket: impl AsFd, option: NetlinkOption) -> io::Result<()> {
    let name = match option {
        NetlinkOption::CapAck => libc::NETLINK_CAP_ACK,
        NetlinkOption::ExtAck => libc::NETLINK_EXT_ACK,
        NetlinkOption::StrictCheck => NETLINK_GET_STRICT_CHK,
    };
    set(socket, name, 1)
}

/// Subscribes the socket to the multicast group with this number.
///
/// # Errors
/// `EPERM` without the capability, `EINVAL` for an unknown group.
pub fn join_group(socket: impl AsFd, group: u32) -> io::Result<()> {
    let group =
        libc::c_int::try_from(group).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    set(socket, libc::NETLINK_ADD_MEMBERSHIP, group)
}

fn set(socket: impl AsFd, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the pointer is to a live c_int and the length is its size; the descriptor is borrowed for the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_NETLINK,
            name,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
