//! Pseudo terminals.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// Opens a new pseudo terminal of the devpts at /dev/pts: (master, slave), both close-on-exec and nobody's controlling terminal.
///
/// # Errors
/// `ENOSPC` when there are no more.
pub fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    open_at(rustix::fs::CWD, "/dev/ptmx")
}

/// The same of the devpts whose multiplexer is at `path` below `directory`. The slave is opened through the master, by no path.
///
/// # Errors
/// When the file is not a pty multiplexer, or there are no more terminals.
pub fn open_at(directory: impl AsFd, path: &str) -> io::Result<(OwnedFd, OwnedFd)> {
    let master = rustix::fs::openat(
        directory,
        path,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    from_multiplexer(master)
}

/// The same from an open multiplexer.
///
/// # Errors
/// When it is none.
pub fn from_multiplexer(master: OwnedFd) -> io::Result<(OwnedFd, OwnedFd)> {
    rustix::pty::unlockpt(&master)?;
    let slave = rustix::pty::ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?;
    Ok((master, slave))
}

/// Sets the window size of a terminal, from either end.
///
/// # Errors
/// `ENOTTY` when it is none.
pub fn resize(terminal: impl AsFd, rows: u16, columns: u16) -> io::Result<()> {
    rustix::termios::tcsetwinsize(
        terminal,
        Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?;
    Ok(())
}

/// (rows, columns) of a terminal.
///
/// # Errors
/// `ENOTTY` when it is none.
pub fn size(terminal: impl AsFd) -> io::Result<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(terminal)?;
    Ok((size.ws_row, size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_see_the_size() -> io::Result<()> {
        let (master, slave) = open()?;
        resize(&master, 33, 101)?;
        assert_eq!(size(&slave)?, (33, 101));
        Ok(())
    }
}
