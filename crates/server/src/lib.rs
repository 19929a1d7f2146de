//! The Engine REST API over `engine`: routes, versions, access, errors. Knows no kernel; only here are API version
//! numbers looked at, and old versions bent in each resource's `compat`.

mod build; // /build, what there is
mod call; // one request, its parts read
mod container; // /containers
mod exec; // /exec, /containers/{id}/exec
mod failure; // errors to answers: the one place
mod image; // /images
mod network; // /networks, what there is
mod plugin; // /plugins: none
mod progress; // streams of progress messages
mod server; // the service: version, route, headers
mod system; // /_ping, /version, /info, /events
mod unsupported; // Docker's endpoints that are not there yet
mod volume; // /volumes

pub use server::Server;
