//! One group in all hierarchies: made, opened, limited, measured. Its processes and its end are in `group/life.rs`.

mod life;

pub use life::Unified;

use crate::devices::{self, Policy};
use crate::dir::{Dir, is_gone, remove_one};
use crate::layout::{Cgroups, Hierarchy, Layout, Which, components};
use crate::{Counted, Error, Result, Stats, limits, stats};
use onggi_oci::runtime::Resources;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

/// A group, open in every hierarchy that has it.
///
/// The value is a handle: dropping it leaves the group as it is.
#[derive(Debug)]
pub struct Group {
    path: String,
    layout: Layout,
    places: Vec<Place>,
    /// Whether the machine has a freezer, be the group in it or not.
    can_freeze: bool,
    warnings: Vec<String>,
}

/// The group in one hierarchy.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) hierarchy: Hierarchy,
    pub(crate) dir: Dir,
    /// Names from the mount point down.
    parts: Vec<String>,
    /// Whether this call made the directory.
    fresh: bool,
}

/// How one hierarchy appears below `/sys/fs/cgroup` of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinPath {
    /// Directory below `/sys/fs/cgroup`; empty when the hierarchy is `/sys/fs/cgroup` itself (v2).
    pub name: String,
    /// File system type for a mount of its own, inside a cgroup namespace: `cgroup` or `cgroup2`.
    pub kind: &'static str,
    /// Data for that mount, as `cpu,cpuacct` or `none,name=systemd`; empty for `cgroup2`.
    pub data: String,
    /// The group on the host: what to bind-mount where there is no cgroup namespace.
    pub path: PathBuf,
    /// Controllers that users look for under their own name: symbolic links to `name`.
    pub aliases: Vec<String>,
}

/// How often a group is made anew when others make and remove groups around it: another daemon on this machine removes
/// the parent while it is empty, and may do so between our making it and our making ours in it.
const ATTEMPTS: u32 = 8;

/// Whether others may have stood in the way, for a moment.
fn is_raced(error: &Error) -> bool {
    is_gone(error) || matches!(error, Error::NotDelegated { .. } | Error::NotFound(_))
}

pub(crate) fn again<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for number in 1..ATTEMPTS {
        match attempt() {
            Err(error) if is_raced(&error) => {
                std::thread::sleep(Duration::from_millis(u64::from(number)));
            }
            result => return result,
        }
    }
    attempt()
}

impl Group {
    pub(crate) fn create(cgroups: &Cgroups, path: &str, resources: &Resources) -> Result<Self> {
        again(|| Self::try_create(cgroups, path, resources))
    }

    pub(crate) fn ensure(cgroups: &Cgroups, path: &str, which: Which<'_>) -> Result<Self> {
        again(|| Self::try_ensure(cgroups, path, which))
    }

    fn try_create(cgroups: &Cgroups, path: &str, resources: &Resources) -> Result<Self> {
        let policy = Policy::from_rules(&resources.devices)?;
        let enforcer = cgroups.has("devices") || cgroups.has("unified");
        if !enforcer && !policy.allows_everything() {
            return Err(Error::NoDevices);
        }
        let mut group = Self::try_ensure(cgroups, path, Which::All)?;
        match group.take_over().and_then(|()| group.apply(resources)) {
            Ok(warnings) => {
                group.warnings.extend(warnings);
                Ok(group)
            }
            Err(error) => {
                group.undo();
                Err(error)
            }
        }
    }

    pub(crate) fn try_ensure(cgroups: &Cgroups, path: &str, which: Which<'_>) -> Result<Self> {
        let wanted = |h: &&Hierarchy| match which {
            Which::All => true,
            Which::Only(names) => names.iter().any(|name| h.has(name)),
        };
        let mut group = Self {
            path: path.to_owned(),
            layout: cgroups.layout(),
            places: Vec::with_capacity(cgroups.hierarchies.len()),
            can_freeze: cgroups.has("freezer") || cgroups.has("unified"),
            warnings: Vec::new(),
        };
        for hierarchy in cgroups.hierarchies.iter().filter(wanted) {
            match Place::make(hierarchy, path, &mut group.warnings) {
                Ok(place) => group.places.push(place),
                Err(error) => {
                    group.undo();
                    return Err(error);
                }
            }
        }
        if group.places.is_empty() {
            Err(Error::NotMounted)
        } else {
            Ok(group)
        }
    }

    pub(crate) fn open(
        cgroups: &Cgroups,
        path: &str,
        wanted: impl Fn(&Hierarchy) -> bool,
    ) -> Result<Self> {
        let mut places = Vec::with_capacity(cgroups.hierarchies.len());
        for hierarchy in cgroups.hierarchies.iter().filter(|h| wanted(h)) {
            places.extend(Place::open(hierarchy, path)?);
        }
        if places.is_empty() {
            return Err(Error::NotFound(path.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            layout: cgroups.layout(),
            places,
            can_freeze: cgroups.has("freezer") || cgroups.has("unified"),
            warnings: Vec::new(),
        })
    }

    /// The path the group was made or opened by.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was asked for and cannot be had on this machine, in sentences for the user.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The directory in the v2 hierarchy, for `CLONE_INTO_CGROUP`; `None` where there is none.
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        let mut places = self.places.iter();
        let place = places.find(|place| place.hierarchy.unified)?;
        Some(place.dir.fd())
    }

    /// Changes limits; what `resources` leaves out stays as it is. Returns what cannot be had, as [`Group::warnings`].
    ///
    /// # Errors
    /// `InvalidLimit`, `NoDevices`, or `File` with what the kernel refused; limits set before the failure stay.
    pub fn update(&self, resources: &Resources) -> Result<Vec<String>> {
        self.apply(resources)
    }

    /// Numbers of the group as the kernel counts them.
    ///
    /// # Errors
    /// `NotFound` when the group is gone, or `File`.
    pub fn stats(&self) -> Result<Stats> {
        self.count(Counted::All)
    }

    /// Whether nobody has removed it.
    pub(crate) fn is_there(&self) -> bool {
        self.places
            .iter()
            .any(|place| place.dir.has("cgroup.procs"))
    }

    pub(crate) fn count(&self, counted: Counted) -> Result<Stats> {
        if !self.is_there() {
            return Err(Error::NotFound(self.path.clone()));
        }
        stats::read(self, counted)
    }

    /// Whether the kernel can limit the swap that the group takes.
    pub fn limits_swap(&self) -> bool {
        let files = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
        files
            .iter()
            .any(|file| self.places.iter().any(|place| place.dir.has(file)))
    }

    /// How many processes the kernel has killed in the group, and in the groups below it, for want of memory.
    ///
    /// # Errors
    /// `File` when the counter cannot be read; a machine without a memory controller counts 0.
    pub fn oom_kills(&self) -> Result<u64> {
        stats::oom_kills(self)
    }

    /// The hierarchies as a container is to see them, for mounting `/sys/fs/cgroup`.
    pub fn join_paths(&self) -> Vec<JoinPath> {
        self.places
            .iter()
            .map(|place| place.join_path(self.layout))
            .collect()
    }

    /// The group where `controller` is, if it is anywhere.
    pub(crate) fn place(&self, controller: &str) -> Option<&Place> {
        self.places
            .iter()
            .find(|place| place.hierarchy.has(controller))
    }

    fn apply(&self, resources: &Resources) -> Result<Vec<String>> {
        if !resources.devices.is_empty() {
            self.apply_devices(&Policy::from_rules(&resources.devices)?)?;
        }
        limits::apply(self, resources)
    }

    fn apply_devices(&self, policy: &Policy) -> Result<()> {
        if let Some(place) = self.place("devices") {
            devices::v1::apply(&place.dir, policy)
        } else if let Some(place) = self.place("unified") {
            devices::v2::apply(&place.dir, policy)
        } else if policy.allows_everything() {
            Ok(())
        } else {
            Err(Error::NoDevices)
        }
    }

    /// A directory that was there before may only be a leftover: no processes, not frozen.
    fn take_over(&self) -> Result<()> {
        for place in self.places.iter().filter(|place| !place.fresh) {
            if !place.dir.read("cgroup.procs")?.trim().is_empty() {
                return Err(Error::Populated(self.path.clone()));
            }
            for (file, thawed) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
                if place.dir.has(file) {
                    place.dir.write(file, thawed)?;
                }
            }
        }
        Ok(())
    }

    /// Takes back the directories this call made; parents stay, others may be about to use them.
    fn undo(&self) {
        for place in self.places.iter().filter(|place| place.fresh) {
            if let (Ok(parent), Some(name)) = (place.parent(), place.parts.last()) {
                // Best effort on the way out: the caller gets the error that brought us here.
                let _ = remove_one(&parent, name);
            }
        }
    }
}

impl Place {
    fn make(hierarchy: &Hierarchy, path: &str, warnings: &mut Vec<String>) -> Result<Self> {
        let parts = components(hierarchy, path)?;
        let mut dir = Dir::open(&hierarchy.mount_point)?;
        let mut fresh = false;
        for part in &parts {
            if hierarchy.unified {
                limits::delegate(&dir, &hierarchy.controllers, warnings)?;
            }
            let child;
            (child, fresh) = dir.make(part)?;
            if !hierarchy.unified && hierarchy.has("cpuset") {
                limits::inherit_cpuset(&dir, &child)?;
            }
            dir = child;
        }
        Ok(Self {
            hierarchy: hierarchy.clone(),
            dir,
            parts,
            fresh,
        })
    }

    fn open(hierarchy: &Hierarchy, path: &str) -> Result<Option<Self>> {
        let parts = components(hierarchy, path)?;
        let mut dir = Dir::open(&hierarchy.mount_point)?;
        for part in &parts {
            match dir.child(part)? {
                Some(child) => dir = child,
                None => return Ok(None),
            }
        }
        Ok(Some(Self {
            hierarchy: hierarchy.clone(),
            dir,
            parts,
            fresh: false,
        }))
    }

    /// The directory above the group.
    fn parent(&self) -> Result<Dir> {
        let mut path = self.hierarchy.mount_point.clone();
        path.extend(self.parts.iter().take(self.parts.len().saturating_sub(1)));
        Dir::open(&path)
    }

    fn join_path(&self, layout: Layout) -> JoinPath {
        let path = self.dir.path().to_path_buf();
        let controllers = &self.hierarchy.controllers;
        if self.hierarchy.unified {
            let name = if layout == Layout::V2 { "" } else { "unified" };
            return JoinPath {
                name: name.into(),
                kind: "cgroup2",
                data: String::new(),
                path,
                aliases: Vec::new(),
            };
        }
        let named = controllers.iter().find_map(|c| c.strip_prefix("name="));
        let joined = controllers.join(",");
        let only_named = controllers.iter().all(|c| c.starts_with("name="));
        JoinPath {
            name: named.map_or_else(|| joined.clone(), str::to_owned),
            kind: "cgroup",
            data: if only_named {
                format!("none,{joined}")
            } else {
                joined
            },
            path,
            aliases: match controllers.len() {
                0 | 1 => Vec::new(),
                _ => controllers
                    .iter()
                    .filter(|c| !c.starts_with("name="))
                    .cloned()
                    .collect(),
            },
        }
    }
}
