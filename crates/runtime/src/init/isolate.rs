//! The child enters its control groups, and keeps nothing of its parent but what is meant for it: descriptors, signals,
//! session, tracing.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::process::{DumpableBehavior, Signal};

use super::{Child, Container, Streams, Visitor};
use crate::Error;

pub(super) fn container(container: &mut Container<'_>) -> Result<(), Error> {
    let also: Vec<_> = container.joins.iter().map(|(_, fd)| fd.as_fd()).collect();
    begin(&container.child, &also)
}

pub(super) fn visitor(visitor: &mut Visitor<'_>) -> Result<(), Error> {
    begin(&visitor.child, &[visitor.target])
}

fn begin(child: &Child<'_>, also: &[BorrowedFd<'_>]) -> Result<(), Error> {
    // Until execve makes it dumpable again, processes of the container can neither trace this one nor read its memory
    // (CVE-2016-9962).
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(Error::internal("PR_SET_DUMPABLE"))?;
    // Limits count from here on; its directories are closed below.
    child
        .home
        .group
        .enter(child.home.unified)
        .map_err(Error::cgroup)?;
    onggi_sys::signal::reset();
    if let Streams::Fds(fds) = child.given.streams {
        onggi_sys::fd::install_stdio(fds).map_err(Error::internal("standard streams"))?;
    }
    let mut kept = child.kept();
    kept.extend([
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ]);
    kept.extend(also);
    onggi_sys::fd::close_all_except(&kept).map_err(Error::internal("close_range"))?;
    rustix::process::umask(rustix::fs::Mode::empty());
    die_with_parent(child)?;
    rustix::process::setsid().map_err(Error::internal("setsid"))?;
    Ok(())
}

/// Set at the beginning, and again when changing the user has cleared it (prctl(2)).
pub(super) fn die_with_parent(child: &Child<'_>) -> Result<(), Error> {
    if child.given.die_with_parent {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(Error::internal("PR_SET_PDEATHSIG"))?;
    }
    Ok(())
}

/// A session keyring of its own. Kernels without keys, and users with too many, go without.
pub(super) fn keyring(child: &mut Child<'_>) -> Result<(), Error> {
    let name = format!("_ses.{}", child.given.id);
    if let Err(error) = onggi_sys::keyring::join_session(&name) {
        let known = [
            rustix::io::Errno::NOSYS,
            rustix::io::Errno::PERM,
            rustix::io::Errno::DQUOT,
        ];
        if !known
            .iter()
            .any(|k| error.raw_os_error() == Some(k.raw_os_error()))
        {
            return Err(Error::internal("session keyring")(error));
        }
        child.warnings.push(format!(
            "no session keyring: {}",
            crate::error::reason(&error)
        ));
    }
    Ok(())
}
