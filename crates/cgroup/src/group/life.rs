//! The processes of a group: added, listed, frozen, killed; and the end of the group.

use super::{Group, Place};
use crate::dir::{Dir, is_gone, remove_one, remove_tree};
use crate::layout::{Hierarchy, Layout};
use crate::{Error, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// How long the kernel may take to freeze a group, or to let go of a dead one.
const PATIENCE: Duration = Duration::from_secs(3);

/// What [`Group::enter`] does in the v2 hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unified {
    /// Nothing: clone3 made the process there ([`Group::directory`]).
    Born,
    /// Moves there. The kernel stops all forks for it, which takes a grace period: 5 to 20 milliseconds.
    Move,
    /// As `Move`, unless it stands beside v1 and the process is in its root, where nobody counts or manages it.
    MayStay,
}

impl Group {
    /// Puts the calling process, which must have one thread, into the group in every hierarchy. On v1 that takes
    /// microseconds: a thread that moves itself needs no grace period (`cgroup_procs_write_start`, since Linux 5.5), other
    /// than one that is moved ([`Group::add`]).
    ///
    /// # Errors
    /// As [`Group::add`].
    pub fn enter(&self, unified: Unified) -> Result<()> {
        for place in &self.places {
            let Hierarchy {
                unified: is_unified,
                own,
                ..
            } = &place.hierarchy;
            let stays = match unified {
                Unified::Born => true,
                Unified::Move => false,
                Unified::MayStay => self.layout == Layout::Hybrid && matches!(&**own, "" | "/"),
            };
            match (is_unified, stays) {
                (true, true) => {}
                (true, false) => place.dir.write("cgroup.procs", "0")?,
                (false, _) => place.dir.write("tasks", "0")?,
            }
        }
        Ok(())
    }

    /// Puts a process, with all its threads, into the group in every hierarchy; 0 is the caller.
    ///
    /// # Errors
    /// `File`: `ESRCH` when there is no such process, `ENOSPC` when a cpuset is empty, `EBUSY` on v2 when the group
    /// has limited children.
    pub fn add(&self, pid: u32) -> Result<()> {
        for place in &self.places {
            let mut attempts = 0;
            while let Err(error) = place.dir.write("cgroup.procs", pid.to_string()) {
                // A process just being forked (TASK_NEW) cannot be moved yet: EINVAL, for a moment.
                attempts += 1;
                if error.errno() != Some(Errno::INVAL.raw_os_error()) || attempts > 20 {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(attempts));
            }
        }
        Ok(())
    }

    /// The processes of the group and of the groups below it.
    ///
    /// # Errors
    /// `File` when the kernel does not tell; a group that is gone has none.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let mut pids = Vec::new();
        if let Some(place) = self.members() {
            collect(&place.dir, &mut pids)?;
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// Suspends every process of the group; returns when all are suspended.
    ///
    /// # Errors
    /// `FreezeTimeout` (the group is running again then), `NotFound` when it was being removed, or `File`.
    pub fn freeze(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let Some((place, v1)) = self.freezer() else {
            if self.can_freeze {
                return Err(Error::NotFound(self.path.clone()));
            }
            return Err(Error::InvalidLimit(
                "the freezer is not available on this machine".into(),
            ));
        };
        let mut rounds = 0_u32;
        loop {
            // v1: processes forked meanwhile slip through, so the order is repeated until the state is reached.
            if v1 || rounds == 0 {
                place
                    .dir
                    .write(freeze_file(v1), if v1 { "FROZEN" } else { "1" })?;
            }
            if self.frozen_at(place, v1)? {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.thaw()?;
                return Err(Error::FreezeTimeout(self.path.clone()));
            }
            rounds += 1;
            if v1 && rounds.is_multiple_of(50) {
                // A task stuck between two states gets unstuck by a short thaw.
                place.dir.write("freezer.state", "THAWED")?;
            }
            std::thread::sleep(Duration::from_millis(u64::from(rounds.min(10))));
        }
    }

    /// Lets every process of the group run again.
    ///
    /// # Errors
    /// `File` when the kernel refuses.
    pub fn thaw(&self) -> Result<()> {
        match self.freezer() {
            Some((place, true)) => place.dir.write("freezer.state", "THAWED"),
            Some((place, false)) => place.dir.write("cgroup.freeze", "0"),
            None => Ok(()),
        }
    }

    /// Whether the group is suspended.
    ///
    /// # Errors
    /// `File` when the kernel does not tell.
    pub fn is_frozen(&self) -> Result<bool> {
        match self.freezer() {
            Some((place, v1)) => self.frozen_at(place, v1),
            None => Ok(false),
        }
    }

    /// Sends SIGKILL to every process of the group and of the groups below it, also while they fork. Does not wait
    /// for them to be gone.
    ///
    /// # Errors
    /// `File` when the kernel refuses.
    pub fn kill(&self) -> Result<()> {
        if let Some(place) = self
            .places
            .iter()
            .find(|place| place.dir.has("cgroup.kill"))
        {
            place.dir.write("cgroup.kill", "1")?;
            if place.hierarchy.unified && self.places.len() == 1 {
                return Ok(());
            }
        }
        // v1, and whoever is in the group of one hierarchy only. Frozen, nobody can fork away from the list.
        let frozen = !self.pids()?.is_empty() && self.freeze().is_ok();
        for pid in self.pids()? {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // Gone already is as good as killed.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if frozen { self.thaw() } else { Ok(()) }
    }

    /// Removes the group and the groups below it from every hierarchy; waits a little for dying processes.
    ///
    /// # Errors
    /// `Busy` when processes live in it, or `File`. All hierarchies are tried before the first error is returned.
    pub fn remove(&self) -> Result<()> {
        let mut first = None;
        for place in &self.places {
            if let Err(error) = self.remove_at(place) {
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Removes the group where nothing is in it, neither processes nor groups. Tells whether it is gone everywhere.
    ///
    /// # Errors
    /// `File` for anything but being in use.
    pub fn remove_if_empty(&self) -> Result<bool> {
        let mut gone = true;
        for place in &self.places {
            let Some(name) = place.parts.last() else {
                continue;
            };
            match place.parent().and_then(|parent| remove_one(&parent, name)) {
                Ok(()) => {}
                Err(error) if is_busy(&error) => gone = false,
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }

    fn remove_at(&self, place: &Place) -> Result<()> {
        let Some(name) = place.parts.last() else {
            return Ok(());
        };
        let parent = match place.parent() {
            Ok(parent) => parent,
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(200);
        loop {
            match remove_tree(&parent, name) {
                Err(error) if is_busy(&error) => {}
                other => return other,
            }
            if Instant::now() > deadline {
                return Err(Error::Busy(self.path.clone()));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// The hierarchy that knows best who is in the group.
    fn members(&self) -> Option<&Place> {
        ["freezer", "pids", "devices", "memory", "unified"]
            .iter()
            .find_map(|name| self.place(name))
            .or_else(|| self.places.first())
    }

    fn freezer(&self) -> Option<(&Place, bool)> {
        match self.place("freezer") {
            Some(place) if !place.hierarchy.unified => Some((place, true)),
            _ => self
                .place("unified")
                .filter(|p| p.dir.has("cgroup.freeze"))
                .map(|p| (p, false)),
        }
    }

    fn frozen_at(&self, place: &Place, v1: bool) -> Result<bool> {
        if v1 {
            return Ok(place.dir.read("freezer.state")?.trim() == "FROZEN");
        }
        Ok(place.dir.keyed("cgroup.events", "frozen")? == Some(1))
    }
}

fn freeze_file(v1: bool) -> &'static str {
    if v1 { "freezer.state" } else { "cgroup.freeze" }
}

fn is_busy(error: &Error) -> bool {
    let code = error.errno().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::BUSY | Errno::NOTEMPTY))
}

/// The processes of a group and of those below it.
fn collect(dir: &Dir, pids: &mut Vec<u32>) -> Result<()> {
    let text = match dir.read("cgroup.procs") {
        // A threaded group tells its processes at its root only; a removed one has none.
        Err(e) if is_gone(&e) || e.errno() == Some(Errno::OPNOTSUPP.raw_os_error()) => {
            String::new()
        }
        other => other?,
    };
    pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for name in dir.children()? {
        if let Some(child) = dir.child(&name)? {
            collect(&child, pids)?;
        }
    }
    Ok(())
}
