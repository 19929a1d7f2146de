//! What callers hand in to have a container made.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use onggi_cgroup::Cgroups;
use onggi_oci::runtime::Spec;
use serde::{Deserialize, Serialize};

/// Where the container's root comes from. Mounted inside the container's mount namespace only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rootfs {
    /// An existing directory (or mount) of the host.
    Directory(PathBuf),
    /// An overlay made for this container.
    Overlay {
        /// Read-only layers, topmost first. At least one.
        lower: Vec<PathBuf>,
        /// Where changes go.
        upper: PathBuf,
        /// The kernel's scratch directory, empty, on the file system of `upper`.
        work: PathBuf,
        /// No syncs: after a crash of the machine `upper` must be thrown away.
        volatile: bool,
    },
}

/// Standard streams of a process.
#[derive(Debug)]
pub enum Stdio {
    /// These descriptors; the parent's copies are closed once the child has them.
    Fds {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A new terminal out of the container's devpts; its master comes back to the caller.
    Console {
        /// (rows, columns) at the start; `None` leaves 0 x 0.
        size: Option<(u16, u16)>,
    },
}

/// A user in the words of `--user`, resolved by the passwd and group files inside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// `name`, `uid`, `name:group`, `uid:gid`, or empty for root.
    pub user: String,
    /// Further groups, names or numbers.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// What a created container waits for before it executes the user's program.
#[derive(Debug, Default)]
pub enum Gate {
    /// [`crate::Created::start`] of the process that created it.
    #[default]
    Parent,
    /// Someone opening this named pipe (`O_PATH` descriptor of it) for reading: the creator may exit before.
    Fifo(OwnedFd),
}

/// Everything `create` needs.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The container's id; names the keyring and, when the specification has no `cgroupsPath`, the cgroup (`/onggi/<id>`).
    pub id: &'a str,
    /// What to make.
    pub spec: &'a Spec,
    /// The root file system.
    pub rootfs: Rootfs,
    /// Who the process runs as; `None` takes the numbers of `spec.process.user`.
    pub user: Option<&'a UserSpec>,
    /// Streams of the process.
    pub stdio: Stdio,
    /// A sealed memfd of `onggi-init`, which becomes pid 1 and runs the process.
    pub init: Option<OwnedFd>,
    /// Control groups of the host.
    pub cgroups: &'a Cgroups,
    /// Whether the container is killed when the creating process ends (the monitor: yes; the command line: no).
    pub die_with_parent: bool,
    /// What the process waits for after `create`.
    pub gate: Gate,
    /// Descriptors the process inherits as 3, 4, ...; nothing else is open in it.
    pub preserved: Vec<OwnedFd>,
}

impl<'a> Launch<'a> {
    /// A launch as the monitor makes it: dies with its parent, started by its parent, no init, the specification's user.
    pub fn new(
        id: &'a str,
        spec: &'a Spec,
        rootfs: Rootfs,
        stdio: Stdio,
        cgroups: &'a Cgroups,
    ) -> Self {
        Self {
            id,
            spec,
            rootfs,
            user: None,
            stdio,
            init: None,
            cgroups,
            die_with_parent: true,
            gate: Gate::Parent,
            preserved: Vec::new(),
        }
    }
}
