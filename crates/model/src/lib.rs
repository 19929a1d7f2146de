//! The words of onggi: ids, names, digests, references, filters, units, error kinds. Pure data, no I/O
//! but for the 32 random bytes of a new container id.

mod csv; // one line of comma separated values
mod digest; // "sha256:<hex>": names content
mod fault; // what every error of ours can say about itself
mod filters; // `--filter` and the `filters` query parameter
mod id; // container ids and container names
mod platform; // "linux/amd64"
pub mod ports; // "80/tcp" and the grammar of `-p`
mod quote; // strings as Go quotes them
mod reference; // "busybox:latest": names images
mod secret; // values that never reach a log
mod signal; // "SIGTERM", "TERM", "15"
pub mod time; // Go's RFC 3339 with nanoseconds
mod undo; // what to take back when a later step fails
pub mod units; // sizes and durations as people read them
pub mod volume_spec; // the grammar of `-v`

pub use csv::csv;
pub use digest::{Algorithm, Digest, DigestError};
pub use fault::{ErrorKind, Fault, chain};
pub use filters::{Filters, FiltersError};
pub use id::{ContainerId, NameError, check_container_name, is_hex};
pub use platform::{Platform, PlatformError};
pub use ports::{HostBinding, Port, PortBinding, PortError, Protocol};
pub use quote::quote;
pub use reference::{ImageRef, ReferenceError};
pub use secret::Secret;
pub use signal::{Signal, SignalError};
pub use time::{TimeError, Timestamp};
pub use undo::Undo;
