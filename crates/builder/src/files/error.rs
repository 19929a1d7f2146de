//! Why files could not be found, copied or unpacked.

use std::io;

use onggi_model::{ErrorKind, Fault};

/// Why files could not be found, copied or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever wrote the Dockerfile can help it; in BuildKit's words.
    #[error("{0}")]
    Wrong(String),
    /// The kernel refused something.
    #[error("{what} {path}")]
    File {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what: a path in its tree.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// An archive of ADD could not be unpacked.
    #[error("failed to unpack {path}")]
    Archive {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: onggi_archive::Error,
    },
}

impl Error {
    /// In words that whoever wrote the Dockerfile can use.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(message.into())
    }

    /// What the disk refused.
    pub fn disk(what: &'static str, path: &str) -> impl FnOnce(io::Error) -> Self {
        Self::file(what, path)
    }

    /// The same, of another name for the file.
    pub(crate) fn on(self, name: &[u8]) -> Self {
        match self {
            Self::File { what, source, .. } => Self::File {
                what,
                path: String::from_utf8_lossy(name).into_owned(),
                source,
            },
            other => other,
        }
    }

    pub(crate) fn file<E: Into<io::Error>>(
        what: &'static str,
        path: impl AsRef<[u8]>,
    ) -> impl FnOnce(E) -> Self {
        let path = String::from_utf8_lossy(path.as_ref()).into_owned();
        move |source| Self::File {
            what,
            path,
            source: source.into(),
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Wrong(_) => ErrorKind::InvalidParameter,
            Self::File { .. } => ErrorKind::Internal,
            Self::Archive { source, .. } => source.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Wrong(_) => None,
            Self::File { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
            .then(|| "the disk is full; remove images, containers or build cache".to_owned()),
            Self::Archive { source, .. } => source.hint(),
        }
    }
}
