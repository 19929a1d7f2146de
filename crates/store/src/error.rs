//! Why the store refused or failed.

use std::io;
use std::path::{Path, PathBuf};

use onggi_model::{Digest, ErrorKind, Fault};

use crate::ChainId;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has this data root open.
    #[error("data root {} is in use by the process with pid {pid}", root.display())]
    Locked {
        /// The data root.
        root: PathBuf,
        /// The process that holds it; 0 when it could not be read.
        pid: u32,
    },
    /// The kernel refused something on a file of the data root.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried, as a verb: `open`, `rename`.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The catalogue refused or failed.
    #[error("catalogue")]
    Catalogue(#[source] Box<redb::Error>),
    /// The catalogue was written by a newer version.
    #[error("catalogue has format {found}, this version knows up to {known}")]
    Format {
        /// Format found on the disk.
        found: u32,
        /// Newest format known here.
        known: u32,
    },
    /// The catalogue is missing or empty, and there are files that only it can have known.
    #[error(
        "{} has lost its catalogue: catalogue.redb is missing or empty, but {} is there; put catalogue.redb back from a \
         backup, or move the whole folder away to begin anew",
        root.display(), found.display()
    )]
    Lost {
        /// The data root.
        root: PathBuf,
        /// One of the files.
        found: PathBuf,
    },
    /// A record does not have the shape this version writes.
    #[error("record {key:?} of table {table:?}")]
    Record {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Content that is not what its digest says.
    #[error("digest mismatch: expected {expected}, got {found}")]
    Digest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A digest of an algorithm that is not implemented.
    #[error("unsupported digest algorithm {0:?}")]
    Algorithm(String),
    /// A blob that the store does not have.
    #[error("blob {0} not found")]
    NoBlob(Digest),
    /// A layer that the store does not have.
    #[error("layer {0} not found")]
    NoLayer(ChainId),
    /// An image that the store does not have.
    #[error("No such image: {0}")]
    NoImage(String),
    /// A container root that exists already.
    #[error("container {0} has a root file system already")]
    RootExists(String),
    /// An object that something else still needs.
    #[error("{0}")]
    InUse(String),
}

impl Error {
    /// Wraps a refusal of the kernel; for `map_err`.
    pub(crate) fn file<E: Into<io::Error>>(
        what: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Error {
        move |source| Error::File {
            what,
            path: path.as_ref().to_path_buf(),
            source: source.into(),
        }
    }

    /// Whether the file system (or the quota) is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let source: Option<&io::Error> = match self {
            Error::File { source, .. } => Some(source),
            Error::Catalogue(error) => match error.as_ref() {
                redb::Error::Io(source) => Some(source),
                _ => None,
            },
            _ => None,
        };
        source.is_some_and(|source| {
            matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        })
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::NoBlob(_) | Error::NoLayer(_) | Error::NoImage(_) => ErrorKind::NotFound,
            Error::RootExists(_) | Error::InUse(_) => ErrorKind::Conflict,
            Error::Locked { .. } => ErrorKind::Unavailable,
            Error::Digest { .. } | Error::Algorithm(_) => ErrorKind::InvalidParameter,
            Error::File { .. }
            | Error::Catalogue(_)
            | Error::Format { .. }
            | Error::Lost { .. }
            | Error::Record { .. } => ErrorKind::Internal,
        }
    }

    fn culprit(&self) -> Option<String> {
        match self {
            Error::Locked { root, .. } | Error::Lost { root, .. } => {
                Some(root.display().to_string())
            }
            Error::File { path, .. } => Some(path.display().to_string()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        self.is_full().then(|| {
            "the disk that holds the data root is full; remove images or containers".to_owned()
        })
    }
}

macro_rules! from_redb {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Error {
            fn from(error: $kind) -> Error {
                Error::Catalogue(Box::new(error.into()))
            }
        }
    )*};
}

from_redb!(
    redb::Error,
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);
