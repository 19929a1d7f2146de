//! Standard streams belong to the user of the process, so that it can open `/dev/stdout` again.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Uid};
use rustix::io::Errno;

use super::Child;
use super::sources::is_device;
use crate::Error;

pub(super) fn own(child: &mut Child<'_>) -> Result<(), Error> {
    let uid = child.credentials()?.uid;
    for stream in [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ] {
        let Ok(stat) = rustix::fs::statat(stream, "", AtFlags::EMPTY_PATH) else {
            continue;
        };
        // The null device of the host keeps its owner.
        if stat.st_uid == uid || is_device(stream.as_fd(), 1, 3)? {
            continue;
        }
        match rustix::fs::fchown(stream, Some(Uid::from_raw(uid)), None) {
            // Sockets, read-only files, file systems without owners: nothing that stops a process.
            Ok(())
            | Err(
                Errno::INVAL
                | Errno::PERM
                | Errno::ROFS
                | Errno::NOSYS
                | Errno::NOTSUP
                | Errno::BADF,
            ) => {}
            Err(error) => return Err(Error::internal("fchown of a stream")(error)),
        }
    }
    Ok(())
}
