//! Waiting for the memory killer: a descriptor to poll. On v2 it is `memory.events` itself, on v1 an eventfd that the
//! kernel was given (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control"). The kernel tells v1 of the shortage,
//! a moment before it kills; how often it has killed is [`Group::oom_kills`].

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFlags, eventfd};

use crate::group::{Group, Place};
use crate::{Error, Result};

/// Becomes ready when memory runs out in a group.
#[derive(Debug)]
pub struct MemoryAlarm {
    fd: OwnedFd,
    unified: bool,
}

impl MemoryAlarm {
    /// Of a group; `None` where the kernel does not account for memory.
    ///
    /// # Errors
    /// [`Error::File`], as from the group's files.
    pub fn of(group: &Group) -> Result<Option<Self>> {
        let Some(place) = group.place("memory") else {
            return Ok(None);
        };
        let unified = place.hierarchy.unified;
        let fd = match unified {
            true => place.dir.open_file("memory.events")?,
            false => registered(place)?,
        };
        let alarm = Self { fd, unified };
        alarm.rearm();
        Ok(Some(alarm))
    }

    /// What to poll, and for what.
    pub fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        let flags = match self.unified {
            true => PollFlags::PRI,
            false => PollFlags::IN,
        };
        (self.fd.as_fd(), flags)
    }

    /// Whether the alarm comes before the kill, if there is one at all; else after it.
    pub fn comes_first(&self) -> bool {
        !self.unified
    }

    /// Ready again only for what comes from now on.
    pub fn rearm(&self) {
        let mut bytes = [0; 512];
        // What cannot be read tells nothing, and is not ready either.
        let _ = match self.unified {
            true => rustix::io::pread(&self.fd, &mut bytes, 0),
            false => rustix::io::read(&self.fd, &mut bytes[..8]),
        };
    }
}

/// An eventfd that the memory controller of v1 writes to.
fn registered(place: &Place) -> Result<OwnedFd> {
    let control = place.dir.open_file("memory.oom_control")?;
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|errno| Error::file("eventfd for", place.dir.path(), errno))?;
    let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    place.dir.write("cgroup.event_control", &line)?;
    Ok(event)
}
