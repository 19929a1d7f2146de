//! Why an archive was refused, or could not be written.

use std::io;

use onggi_model::{ErrorKind, Fault};

/// Why an archive was refused, or could not be written. Names inside the archive are shown escaped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source of the archive failed: network, disk, decompression.
    #[error("read archive")]
    Read(#[source] io::Error),
    /// The archive ends in the middle of an entry.
    #[error("archive is truncated")]
    Truncated,
    /// Not a tar, or a broken one.
    #[error("invalid tar archive: {0}")]
    Invalid(String),
    /// A tar feature that is not implemented.
    #[error("unsupported tar archive: {0}")]
    Unsupported(String),
    /// A name that leads out of the root, or that cannot be one.
    #[error("invalid name {name:?} in archive: {reason}")]
    Name {
        /// The name in the archive.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A directory would have to give way to something else, or the other way round.
    #[error("cannot overwrite {there} {path:?} with {comes} {base:?}")]
    Overwrite {
        /// What is there.
        there: &'static str,
        /// What comes.
        comes: &'static str,
        /// Where.
        path: String,
        /// Where the archive goes.
        base: String,
    },
    /// More of something than allowed.
    #[error("archive has more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The kernel refused something on a file of the tree.
    #[error("{what} {name:?}")]
    File {
        /// What was tried, as a verb.
        what: &'static str,
        /// Name in the tree.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Whoever takes the archive failed.
    #[error("write archive")]
    Write(#[source] io::Error),
}

impl Error {
    pub(crate) fn file<E: Into<io::Error>>(
        what: &'static str,
        name: &[u8],
    ) -> impl FnOnce(E) -> Error {
        let name = String::from_utf8_lossy(name).into_owned();
        move |source| Error::File {
            what,
            name,
            source: source.into(),
        }
    }

    pub(crate) fn name(name: &[u8], reason: &'static str) -> Error {
        Error::Name {
            name: String::from_utf8_lossy(name).into_owned(),
            reason,
        }
    }

    pub(crate) fn overwrite(path: &[u8], base: &[u8], directory: bool) -> Error {
        let absolute = |path: &[u8]| format!("/{}", String::from_utf8_lossy(path));
        let (there, comes) = match directory {
            true => ("directory", "non-directory"),
            false => ("non-directory", "directory"),
        };
        Error::Overwrite {
            there,
            comes,
            path: absolute(path),
            base: absolute(base),
        }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Error {
        Error::Invalid(text.into())
    }

    /// Whether a name or a link of the archive leads to nothing, or through what is no directory.
    #[must_use]
    pub fn is_of_names(&self) -> bool {
        matches!(self, Error::File { source, .. } if matches!(
            source.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::InvalidFilename
        ))
    }

    /// Whether the file system (or the quota) is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Error::File { source, .. } if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ))
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Truncated | Error::Invalid(_) | Error::Name { .. } | Error::Overwrite { .. } => {
                ErrorKind::InvalidParameter
            }
            Error::Unsupported(_) => ErrorKind::NotImplemented,
            Error::TooLarge { .. } => ErrorKind::TooLarge,
            Error::Read(_) | Error::File { .. } | Error::Write(_) => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        self.is_full()
            .then(|| "the disk is full; remove images or containers".to_owned())
    }
}
