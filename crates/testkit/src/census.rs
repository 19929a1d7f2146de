//! What is left behind: processes, mounts, cgroups, links, nftables.
//!
//! Counted where a daemon of a test can have left something: processes in its network namespace and below its paths,
//! mounts below its root, groups anywhere that carry an id of its containers or are empty though named after some
//! container, links and tables in its namespace.

use crate::namespace::Namespace;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The machine at one moment, as far as one daemon is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    processes: BTreeSet<Process>,
    mounts: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    links: BTreeSet<String>,
    tables: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    pid: u32,
    name: String,
    /// Below which pid it was started, at most one step.
    parent: u32,
}

/// What one census has and an earlier one had not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// `pid name`.
    pub processes: Vec<String>,
    /// Mount points.
    pub mounts: Vec<String>,
    /// Directories below `/sys/fs/cgroup`.
    pub cgroups: Vec<String>,
    /// Network links of the namespace.
    pub links: Vec<String>,
    /// nftables tables of the namespace, as `ip onggi`.
    pub tables: Vec<String>,
}

impl Leftovers {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Without what belongs to the daemon as such: its bridges, its tables, and its helpers in the case of dockerd.
    #[must_use]
    pub fn of_containers(mut self) -> Self {
        const OWN: &[&str] = &["docker0", "onggi0", "onggi-gate0", "onggi-gate1"];
        // Networks of users stay until they are removed.
        self.links
            .retain(|link| !OWN.contains(&link.as_str()) && !link.starts_with("br-"));
        self.tables.clear();
        // dockerd binds its data root to itself, and keeps the namespace of the host there.
        self.mounts
            .retain(|m| !m.ends_with("/data") && !m.ends_with("/netns/default"));
        self.processes
            .retain(|process| !process.ends_with(" containerd"));
        self
    }
}

impl Census {
    /// Looks at the machine.
    ///
    /// # Errors
    /// When `/proc` or the namespace cannot be read.
    pub fn take(namespace: &Namespace, root: &Path) -> Result<Self> {
        let mut processes = BTreeSet::new();
        for pid in namespace.processes()? {
            processes.extend(process(pid));
        }
        let text = root.to_str().context("the root is not UTF-8")?;
        let ids = ids(&root.join("data/containers"));
        let mut cgroups = BTreeSet::new();
        groups(Path::new("/sys/fs/cgroup"), &ids, 0, &mut cgroups);
        processes.extend(processes_naming(text)?);
        Ok(Self {
            processes,
            mounts: mounts_below(root)?.into_iter().collect(),
            cgroups,
            links: namespace.run(links)??,
            tables: namespace.run(tables)??,
        })
    }

    /// What is new since an earlier census; the process `own` and what is in the making below it do not count.
    pub fn since(&self, before: &Self, own: Option<u32>) -> Leftovers {
        let news = |now: &BTreeSet<String>, then: &BTreeSet<String>| {
            now.difference(then).cloned().collect()
        };
        Leftovers {
            processes: self
                .processes
                .difference(&before.processes)
                .filter(|p| Some(p.pid) != own && p.pid != std::process::id())
                .map(|p| format!("{} {}", p.pid, p.name))
                .collect(),
            mounts: news(&self.mounts, &before.mounts),
            cgroups: news(&self.cgroups, &before.cgroups),
            links: news(&self.links, &before.links),
            tables: news(&self.tables, &before.tables),
        }
    }
}

/// Mount points of this mount namespace at or below a folder.
pub(crate) fn mounts_below(root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").context("mountinfo")?;
    let points = text.lines().filter_map(|line| line.split(' ').nth(4));
    Ok(points
        .filter(|point| Path::new(point).starts_with(root))
        .map(str::to_owned)
        .collect())
}

fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = tail.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some(Process { pid, name, parent })
}

/// Processes with the private folder in their arguments: shims and monitors in other namespaces.
fn processes_naming(root: &str) -> Result<BTreeSet<Process>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").context("read /proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&arguments).contains(root) {
            found.extend(process(pid));
        }
    }
    Ok(found)
}

fn ids(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|n| n.len() == 64)
        .collect()
}

/// A container's group without a process: nobody knows its id any more.
fn is_abandoned(name: &str, group: &Path) -> bool {
    name.len() == 64
        && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        && std::fs::read(group.join("cgroup.procs")).is_ok_and(|pids| pids.is_empty())
}

/// Directories named after one of the ids or of nobody, a few levels deep.
fn groups(folder: &Path, ids: &[String], depth: u32, found: &mut BTreeSet<String>) {
    if depth > 4 {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|t| t.is_dir()) {
            continue;
        }
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if ids.iter().any(|id| name.contains(id.as_str())) || is_abandoned(name, &entry.path()) {
            found.insert(entry.path().display().to_string());
        }
        groups(&entry.path(), ids, depth + 1, found);
    }
}

/// Of the calling thread's network namespace, loopback aside.
fn links() -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").context("read net/dev")?;
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    Ok(names
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| name != "lo")
        .collect())
}

/// Of the calling thread's network namespace.
fn tables() -> Result<BTreeSet<String>> {
    let output = Command::new("nft")
        .args(["list", "tables"])
        .output()
        .context("run nft")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("table "))
        .map(str::to_owned)
        .collect())
}
