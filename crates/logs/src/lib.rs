//! Container log records: writer, rotation, reader, follow.
//!
//! One process writes a log (the container's monitor), any number read it, and they meet only in the file system.

mod behind; // how far a reader is behind
mod files; // the rotated set on disk
mod follow; // waiting for more
mod json; // Docker's json-file rows
mod local; // our binary frames
mod pack; // rotated files, compressed
mod place; // where a reader was
mod reader; // from file to records
mod record; // one record
mod scan; // looking for bytes
mod spec; // what a log is
mod tail; // the last n records
mod writer; // from bytes to file

pub use behind::Behind;
pub use follow::{Wait, Waker};
pub use place::Place;
pub use reader::{Options, Reader};
pub use record::{Record, Stream};
pub use spec::{Driver, LogSpec};
pub use writer::Writer;

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried: "open log", "write log", ...
        action: &'static str,
        /// With which file.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The driver keeps no records.
    #[error("configured logging driver does not support reading")]
    NotReadable,
}

impl onggi_model::Fault for Error {
    fn kind(&self) -> onggi_model::ErrorKind {
        match self {
            Self::File { .. } => onggi_model::ErrorKind::Internal,
            Self::NotReadable => onggi_model::ErrorKind::NotImplemented,
        }
    }
}
