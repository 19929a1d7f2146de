//! What tests stand on: a daemon of one's own, images without a hub, registries that behave and that do not, and a
//! census of what is left behind.
//!
//! A [`Daemon`] has a data root, an exec root, a socket and a *network namespace* of its own, so tests run side by
//! side and touch nothing of the machine. `ONGGI_SUBJECT=dockerd` runs the same suite against Docker's daemon, and
//! `ONGGI_CLIENT=/path/to/docker` with Docker's client. Everything is synchronous, with threads and limits.

mod api; // the API by its socket
mod binaries; // where the programs under test are
mod census; // what is left behind
mod daemon; // a daemon of one's own
mod disk; // a disk that loses what was not flushed
mod fuzz; // inputs nobody thought of
mod hostile; // a registry that misbehaves on purpose
mod http; // HTTP/1.1 over any stream, enough for tests
mod image; // images made here
mod metered; // a registry that counts what it sends
mod name_server; // a DNS server that says what it is told to
mod namespace; // a network namespace of one's own
mod outside; // a namespace with a way to the world
mod own_registry; // onggi-registry on loopback
mod process; // a command beside the test
mod registry; // Debian's docker-registry on loopback
mod terminal; // a terminal to type into
mod wait; // conditions with a limit

pub use api::Api;
pub use binaries::{Binaries, Client, Subject, workspace};
pub use census::{Census, Leftovers};
pub use daemon::{Daemon, DaemonOptions, Output};
pub use disk::ForgetfulDisk;
pub use fuzz::Fuzz;
pub use hostile::{Behaviour, Hostile};
pub use http::{Request, Response};
pub use image::{Distribution, Entry, Image, Layer, Traits, digest, digest_512};
pub use metered::Metered;
pub use name_server::{NameAnswer, NameServer};
pub use namespace::Namespace;
pub use outside::Outside;
pub use own_registry::OnggiRegistry;
pub use process::Process;
pub use registry::{HTPASSWD, LOGIN, Registry};
pub use terminal::Terminal;
pub use wait::{LIMIT, patience, wait_until};
