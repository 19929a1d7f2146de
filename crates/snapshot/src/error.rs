//! Why a root file system could not be made.

use std::io;
use std::path::PathBuf;

use onggi_model::{ErrorKind, Fault};
use onggi_store::ChainId;

/// Why a root file system could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] onggi_store::Error),
    /// The kernel refused something on a file.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// What is here is elsewhere: overlayfs's `redirect_dir` or `metacopy` was on.
    #[error(
        "{}: overlayfs keeps part of this elsewhere (redirect_dir or metacopy); that cannot be copied",
        .0.display()
    )]
    Redirected(PathBuf),
    /// The container has no root.
    #[error("container {0} has no root file system")]
    NoRoot(String),
    /// A layer of the container is not in the catalogue.
    #[error("layer {0} not found")]
    NoLayer(ChainId),
    /// The root was made by a driver this version does not have.
    #[error("unknown snapshot driver {0:?}")]
    Driver(String),
    /// More layers than overlayfs can stack.
    #[error("the image has {found} layers, overlayfs stacks at most {limit}")]
    TooDeep {
        /// Layers of the image.
        found: usize,
        /// What the kernel takes.
        limit: usize,
    },
}

impl Error {
    pub(crate) fn file<E: Into<io::Error>>(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Error {
        let path = path.into();
        move |source| Error::File {
            what,
            path,
            source: source.into(),
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Store(error) => error.kind(),
            Error::NoRoot(_) | Error::NoLayer(_) => ErrorKind::NotFound,
            Error::Driver(_) | Error::TooDeep { .. } | Error::Redirected(_) => {
                ErrorKind::InvalidParameter
            }
            Error::File { .. } => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Store(error) => error.hint(),
            _ => None,
        }
    }
}
