//! The OCI runtime: from a specification and a root file system to a running process, and further processes beside it.
//!
//! `create` clones a child into all its namespaces; the child runs the list of steps in [`init`] and waits; `start` lets it
//! execute the user's program. Everything is synchronous and must be called from a process with one thread. Callers: the
//! monitor (as a library) and `onggi-runtime` ([`cli`], runc's command line).
//!
//! Not here: limits (`onggi-cgroup`), network links (`onggi-network`), images and layers.

pub mod bundle; // for another runtime
pub mod cli; // runc's command line
mod create; // the parent's side of create and start
pub mod defaults; // Docker's capabilities, mounts, paths
mod error; // what can fail, as data that crosses the socket
mod exec; // the parent's side of exec
pub mod init; // the child's side: the list of steps; and onggi-init
mod launch; // what callers hand in
mod lookup; // PATH lookup inside the container
mod options; // mount options in the words of mount(8)
mod plan; // a specification, checked and parsed once
mod root; // paths inside the container's root
pub mod seccomp; // filters: compiler and default profile
mod sync; // the socket between parent and child
mod user; // passwd and group of the container

pub use create::{Created, Running, Starting, begin, create};
pub use error::Error;
pub use exec::{ExecLaunch, Execed, exec};
pub use launch::{Gate, Launch, Rootfs, Stdio, UserSpec};
