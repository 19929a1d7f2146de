//! The documents of the Docker Engine API v1.55, as Go writes them to the byte, and the framing of its streams.
//!
//! Versions before 1.55 are not here: `server` bends these documents for them.

pub mod auth; // credentials for registries
pub mod build; // builds: what they leave behind
pub mod container; // containers: configuration, state, lists, options
pub mod error; // {"message": ...}
pub mod event; // what happened
pub mod exec; // processes started in containers
pub mod go; // how Go writes and reads JSON
pub mod image; // images: lists, details, history
pub mod network; // networks and endpoints
pub mod query; // truth as Go's query parameters have it
pub mod registry; // what registries have
pub mod session; // what a build's client and the daemon tell each other
pub mod stream; // frames of output, messages of progress
pub mod system; // info, version, ping
pub mod version; // API versions
pub mod volume; // volumes

pub use error::ErrorResponse;
pub use go::{DecodeError, Empty, decode, decode_from};
pub use version::ApiVersion;

go::document! {
    /// An answer that only names what was made.
    pub struct IdResponse {
        pub id: String => "Id";
    }
}
