//! Control groups: limits, statistics, freezing, killing, out-of-memory counts and device policy.
//!
//! The same calls on every layout: v1 (one hierarchy a controller), hybrid (v1 beside a `unified` v2 hierarchy) and
//! v2. [`Cgroups::probe`] looks once at what the machine has; [`Cgroups::create`] makes a [`Group`] in every
//! hierarchy and sets limits *before* a process joins. What the kernel cannot limit becomes a warning, never a
//! silent loss; a device policy that cannot be enforced is an error.
//!
//! Not here: making namespaces and mounting control groups inside a container (`runtime`).

mod alarm; // waiting for the memory killer
mod devices; // device rules: one policy, two enforcers
mod dir; // a directory of control files
mod error; // what goes wrong
mod features; // what the kernel can limit
mod group; // one group in all hierarchies
mod layout; // which hierarchies there are, and where
mod limits; // resources to control files
mod stats; // control files to numbers

pub use alarm::MemoryAlarm;
pub use devices::{Access, Policy};
pub use error::Error;
pub use features::Features;
pub use group::{Group, JoinPath, Unified};
pub use layout::{Cgroups, Layout, Which};
pub use limits::convert;
pub use stats::{BlockEntry, BlockStats, Counted, CpuStats, MemoryStats, PidsStats, Stats};

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
