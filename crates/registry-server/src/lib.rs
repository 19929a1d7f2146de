//! The registry we ship: the OCI distribution protocol over OCI image layouts on disk.
//!
//! Kept true: what a client was told is stored is on disk; a blob is readable only through a repository that has it; a
//! tag leads to a manifest that is whole, whatever is collected, deleted or killed meanwhile.

mod access_log; // a line for each request
mod app; // one request: who, where, what
mod auth; // who may do what
mod config; // the file and its keys
mod document; // manifests as a registry sees them
mod name; // names of repositories, tags and digests
mod program; // flags, wiring, signals
mod refusal; // errors as clients see them
mod routes; // the protocol
mod storage; // what is on disk
mod stream; // bodies, piece by piece
mod upstream; // registries we fetch from

pub use program::main;
