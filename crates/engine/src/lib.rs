//! What the daemon does, without HTTP: containers, processes beside them, images, events, and the boot that
//! finds all of them again.
//!
//! [`Engine`] is the way in; its methods are spread over one file a verb. The engine speaks the API documents
//! of the newest version and knows nothing of requests: a caller that must not be stopped half-way runs them as
//! tasks of their own. Not here: routes and versions (`server`), configuration (`daemon`), the process beside a
//! container (`monitor`).

mod adopt; // what a stopped dockerd left on the disk
mod build; // builds, as the API speaks of them
mod check; // whether everything on disk is whole
mod config; // what the engine is told
mod container; // containers: record, life, streams
mod detach; // the keys that leave a terminal
mod engine; // the handle, what it holds, how records are committed
mod error; // the engine's error
mod events; // what happened
mod exec; // processes beside a container's own
mod health; // probes, and what they say
mod image; // images, as the API speaks of them
mod log; // log drivers
mod machine; // the machine below, for info
mod network; // networks, as the API speaks of them
mod reconcile; // boot: what the catalogue says against what runs
mod spec; // record to OCI document
mod stats; // what containers use, sampled once for all
mod system; // info, version
mod task; // the conversation with a monitor
mod usage; // what takes how much room
mod volume; // volumes, as the API speaks of them

pub use build::{BuildOptions, PruneLimits};
pub use check::CheckOptions;
pub use config::{Config, Defaults, Live, Proxies, Runtime, SeccompProfile};
pub use container::{Attach, Changed, Chunks, CommitOptions, ExtractOptions, LogStream, Waiter};
pub use engine::{CGROUP_PARENT, Engine, MONITORS_CGROUP, Programs};
pub use error::{Error, Result};
pub use events::EventsOptions;
pub use exec::{ExecClaim, ExecSession};
pub use image::ImageListOptions;
pub use reconcile::Parts;
pub use stats::StatsOptions;
pub use usage::UsageOptions;
