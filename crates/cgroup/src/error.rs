//! What goes wrong with control groups.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine has no control groups that we could use.
    #[error("no cgroup hierarchy is mounted")]
    NotMounted,
    /// A path that leaves its hierarchy or names nothing.
    #[error("invalid cgroup path {0:?}")]
    InvalidPath(String),
    /// The group is in no hierarchy.
    #[error("cgroup {0} does not exist")]
    NotFound(String),
    /// A group to be made exists and is in use.
    #[error("cgroup {0} already has processes")]
    Populated(String),
    /// Device rules were given and nothing can enforce them.
    #[error(
        "the device policy cannot be enforced: neither the devices controller nor cgroup v2 is mounted"
    )]
    NoDevices,
    /// A limit that makes no sense or cannot be had here.
    #[error("{0}")]
    InvalidLimit(String),
    /// A limit of a controller that the machine has and that does not reach the group.
    #[error(
        "limits of the {controller} controller cannot be set: it is not enabled for cgroup {group} (a cgroup above it may have \
         processes of its own, which forbids that)"
    )]
    NotDelegated {
        /// The controller.
        controller: &'static str,
        /// The group.
        group: String,
    },
    /// The freezer did not get there in time.
    #[error("cgroup {0} could not be frozen in time")]
    FreezeTimeout(String),
    /// Processes or kernel objects still hold the group.
    #[error("cgroup {0} is still in use")]
    Busy(String),
    /// A control file failed.
    #[error("{action} {path}")]
    File {
        /// What was done: `read`, `write "5"`, ...
        action: String,
        /// The control file or directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The device program could not be installed.
    #[error("{action}")]
    Program {
        /// What was done.
        action: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn file(
        action: impl Into<String>,
        path: &Path,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::File {
            action: action.into(),
            path: path.to_path_buf(),
            source: source.into(),
        }
    }

    /// Whether the group went away, before the call or during it.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::NotFound(_)) || crate::dir::is_gone(self)
    }

    /// The kernel's error number, when the kernel was the one to refuse.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::File { source, .. } | Self::Program { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
