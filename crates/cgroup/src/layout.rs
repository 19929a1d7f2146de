//! Which hierarchies the machine has, where they are mounted, and where we stand in them.

use crate::dir::Dir;
use crate::{Counted, Error, Features, Group, Result, Stats};
use onggi_oci::runtime::Resources;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How control groups are arranged on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One hierarchy a controller (or a few controllers).
    V1,
    /// As v1, with a v2 hierarchy beside that holds few or no controllers.
    Hybrid,
    /// One hierarchy for all.
    V2,
}

impl Layout {
    /// Looks at what is mounted.
    ///
    /// # Errors
    /// `NotMounted` when there are no control groups, `File` when `/proc` cannot be read.
    pub fn detect() -> Result<Self> {
        Ok(Cgroups::probe()?.layout())
    }
}

/// In which hierarchies a group is made.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// In all.
    All,
    /// In those that carry one of these: a controller, `name=systemd`, or `unified`.
    Only(&'a [&'a str]),
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// v2 rather than v1.
    pub(crate) unified: bool,
    /// v1: controllers and `name=...` of the mount, in the kernel's order. v2: `cgroup.controllers` of the root.
    pub(crate) controllers: Vec<String>,
    /// Where it is mounted.
    pub(crate) mount_point: PathBuf,
    /// Which group of the hierarchy is the root of that mount.
    pub(crate) root: String,
    /// Our own group, seen from the mount point.
    pub(crate) own: String,
}

impl Hierarchy {
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
            || (self.unified && controller == "unified")
    }
}

/// The machine's control groups, looked at once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cgroups {
    pub(crate) hierarchies: Arc<[Hierarchy]>,
    layout: Layout,
}

impl Cgroups {
    /// Looks at the mounts and at our own position.
    ///
    /// # Errors
    /// `NotMounted` when there are no control groups, `File` when `/proc` cannot be read.
    pub fn probe() -> Result<Self> {
        let read = |path: &str| {
            std::fs::read_to_string(path).map_err(|e| Error::file("read", Path::new(path), e))
        };
        let mut hierarchies = parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
        for hierarchy in hierarchies.iter_mut().filter(|h| h.unified) {
            let text = Dir::open(&hierarchy.mount_point)?.read("cgroup.controllers")?;
            hierarchy.controllers = text.split_whitespace().map(str::to_owned).collect();
        }
        Self::from_hierarchies(hierarchies)
    }

    pub(crate) fn from_hierarchies(hierarchies: Vec<Hierarchy>) -> Result<Self> {
        let v1 = hierarchies.iter().any(|h| !h.unified);
        let v2 = hierarchies.iter().any(|h| h.unified);
        let layout = match (v1, v2) {
            (false, false) => return Err(Error::NotMounted),
            (true, false) => Layout::V1,
            (true, true) => Layout::Hybrid,
            (false, true) => Layout::V2,
        };
        Ok(Self {
            hierarchies: hierarchies.into(),
            layout,
        })
    }

    /// How control groups are arranged.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether a controller (`memory`, `pids`, ...) can be used, in whichever hierarchy it is.
    pub fn has(&self, controller: &str) -> bool {
        self.hierarchies.iter().any(|h| h.has(controller))
    }

    /// Makes the group with its parents in every hierarchy, and sets the limits. An existing group without processes
    /// is taken over. On failure nothing that this call made is left.
    ///
    /// An absolute path counts from the mount points, a relative one from our own group (on v2: from its parent,
    /// because a group with processes cannot have limited children).
    ///
    /// # Errors
    /// `InvalidPath`, `Populated`, `NoDevices`, `InvalidLimit`, or `File` with what the kernel refused.
    pub fn create(&self, path: &str, resources: &Resources) -> Result<Group> {
        Group::create(self, path, resources)
    }

    /// Makes the group with its parents, without limits; one that exists is fine, processes or not.
    ///
    /// # Errors
    /// `InvalidPath`, `NotMounted` when no hierarchy is asked for, or `File` with what the kernel refused.
    pub fn ensure(&self, path: &str, which: Which<'_>) -> Result<Group> {
        Group::ensure(self, path, which)
    }

    /// Opens an existing group in all hierarchies that have it.
    ///
    /// # Errors
    /// `InvalidPath`, `NotFound` when no hierarchy has it, or `File`.
    pub fn open(&self, path: &str) -> Result<Group> {
        Group::open(self, path, |_| true)
    }

    /// What the kernel can limit in the group with this path, which is made where it is not there.
    ///
    /// # Errors
    /// As [`Cgroups::ensure`].
    pub fn features(&self, path: &str) -> Result<Features> {
        Group::features_at(self, path)
    }

    /// Numbers of the group with this path, as [`Group::stats`] has them; only the hierarchies that count are looked at.
    ///
    /// # Errors
    /// As [`Cgroups::open`] and [`Group::stats`].
    pub fn stats(&self, path: &str, counted: Counted) -> Result<Stats> {
        // v2 counts processor time without a controller.
        let unified = !self.has("cpuacct");
        let wanted = |h: &Hierarchy| {
            (unified && h.unified) || counted.controllers().iter().any(|name| h.has(name))
        };
        Group::open(self, path, wanted)?.count(counted)
    }
}

/// The components of a group's path below the mount point of a hierarchy.
pub(crate) fn components(hierarchy: &Hierarchy, path: &str) -> Result<Vec<String>> {
    let invalid = || Error::InvalidPath(path.to_owned());
    let mut parts = Vec::new();
    if !path.starts_with('/') {
        parts.extend(
            hierarchy
                .own
                .split('/')
                .filter(|p| !p.is_empty())
                .map(str::to_owned),
        );
        if hierarchy.unified {
            parts.pop();
        }
    }
    let before = parts.len();
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        if part == ".." || part.contains(['\0', '\n']) || part.len() > 255 {
            return Err(invalid());
        }
        parts.push(part.to_owned());
    }
    if parts.len() == before {
        Err(invalid())
    } else {
        Ok(parts)
    }
}

/// `/proc/self/mountinfo` and `/proc/self/cgroup` to hierarchies, each once (the first mount wins).
fn parse(mountinfo: &str, own: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, rest)) = line.split_once(" - ") else {
            continue;
        };
        let mount: Vec<&str> = mount.split(' ').collect();
        let rest: Vec<&str> = rest.split(' ').collect();
        let (Some(root), Some(point), Some(kind)) = (mount.get(3), mount.get(4), rest.first())
        else {
            continue;
        };
        let (root, mount_point) = (unescape(root), PathBuf::from(unescape(point)));
        let options = rest.get(2).copied().unwrap_or_default();
        let hierarchy = match *kind {
            "cgroup2" => Hierarchy {
                unified: true,
                controllers: Vec::new(),
                own: own_path(own, "", &root),
                mount_point,
                root,
            },
            "cgroup" => {
                let controllers: Vec<String> = options
                    .split(',')
                    .filter(|o| is_controller(o))
                    .map(str::to_owned)
                    .collect();
                let Some(first) = controllers.first() else {
                    continue;
                };
                let own = own_path(own, first, &root);
                Hierarchy {
                    unified: false,
                    controllers,
                    mount_point,
                    root,
                    own,
                }
            }
            _ => continue,
        };
        let twin = |h: &Hierarchy| {
            h.unified == hierarchy.unified && (h.unified || h.controllers == hierarchy.controllers)
        };
        if !found.iter().any(twin) {
            found.push(hierarchy);
        }
    }
    found
}

/// Our own group in the hierarchy of `controller` (empty for v2), seen from a mount whose root is `root`.
fn own_path(own: &str, controller: &str, root: &str) -> String {
    let path = own
        .lines()
        .find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, names, path) = (fields.next()?, fields.next()?, fields.next()?);
            names.split(',').any(|n| n == controller).then_some(path)
        })
        .unwrap_or("/");
    let inside = if root == "/" {
        Some(path)
    } else {
        path.strip_prefix(root)
    };
    match inside {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => "/".to_owned(),
    }
}

/// Mount options of v1 that name a controller or a hierarchy, not a behaviour.
fn is_controller(option: &str) -> bool {
    const BEHAVIOUR: &[&str] = &[
        "rw",
        "ro",
        "xattr",
        "noprefix",
        "clone_children",
        "cpuset_v2_mode",
        "favordynmods",
        "nofavordynmods",
        "seclabel",
        "none",
        "all",
        "nsdelegate",
        "",
    ];
    !BEHAVIOUR.contains(&option) && !option.starts_with("release_agent=")
}

/// The octal escapes of mountinfo: space, tab, newline, backslash.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte as char);
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 /docker/a\\040b /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,seclabel,memory
39 31 0:36 / /elsewhere rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";
    const OWN: &str =
        "9:name=systemd:/init.scope\n4:memory:/docker/a b/x\n1:cpu,cpuacct:/\n0::/user.slice/s\n";

    #[test]
    fn hybrid_is_read_with_escapes_and_doubles() {
        let found = parse(HYBRID, OWN);
        let names: Vec<String> = found.iter().map(|h| h.controllers.join(",")).collect();
        assert_eq!(names, ["cpu,cpuacct", "memory", "name=systemd", ""]);
        assert_eq!(found[1].root, "/docker/a b");
        assert_eq!(found[1].own, "/x");
        assert_eq!(found[2].own, "/init.scope");
        assert_eq!(found[3].own, "/user.slice/s");
        assert_eq!(found[1].mount_point, Path::new("/sys/fs/cgroup/memory"));
        assert_eq!(
            Cgroups::from_hierarchies(found)
                .expect("is a layout")
                .layout(),
            Layout::Hybrid
        );
    }

    #[test]
    fn pure_layouts() {
        let v2 = parse(
            "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "0::/\n",
        );
        assert_eq!(
            Cgroups::from_hierarchies(v2).expect("is a layout").layout(),
            Layout::V2
        );
        let v1 = parse(
            "29 23 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
            "",
        );
        assert_eq!(
            Cgroups::from_hierarchies(v1).expect("is a layout").layout(),
            Layout::V1
        );
        assert!(matches!(
            Cgroups::from_hierarchies(Vec::new()),
            Err(Error::NotMounted)
        ));
    }

    #[test]
    fn paths_stay_inside() {
        let found = parse(HYBRID, OWN);
        assert_eq!(
            components(&found[1], "/onggi/c1").expect("is fine"),
            ["onggi", "c1"]
        );
        assert_eq!(components(&found[1], "c1").expect("is fine"), ["x", "c1"]);
        assert_eq!(
            components(&found[3], "c1").expect("is fine"),
            ["user.slice", "c1"]
        );
        for bad in ["", "/", "/a/../b", "..", "/a/\0"] {
            assert!(components(&found[1], bad).is_err(), "{bad:?}");
        }
    }
}
