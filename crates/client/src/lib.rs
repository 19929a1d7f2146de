//! The client of the Docker Engine API: works with onggid and with dockerd, over a unix socket, TCP, TLS or ssh.

mod body; // answers: whole, in pieces, as a stream of JSON values
mod build; // builds
mod client; // the client, and the making of requests
mod connection; // one connection
pub mod container; // containers
mod endpoint; // where the daemon listens
mod error; // failures, in Docker's words
mod exec; // processes in containers
mod hijack; // connections taken over for attach and exec
pub mod image; // images
mod network; // networks
pub mod system; // the daemon itself
mod version; // API versions
mod volume; // volumes

pub use body::{Response, Values};
pub use build::Build;
pub use client::{Client, Options, Ping, Request, Tls};
pub use endpoint::{Endpoint, EndpointError, Ssh};
pub use error::{Error, Result};
pub use hijack::{Hijacked, Input, Output};
pub use version::{NEWEST, Version};
