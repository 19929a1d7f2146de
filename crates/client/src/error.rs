//! What can go wrong between here and the daemon.

use onggi_model::{ErrorKind, Fault};

/// A failed request. `Display` is the text Docker's users know, complete with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there.
    #[error("Cannot connect to the Docker daemon at {endpoint}. Is the docker daemon running?")]
    Unreachable {
        /// Where nobody listens.
        endpoint: String,
    },
    /// The socket is not for this user.
    #[error(
        "permission denied while trying to connect to the daemon socket at {endpoint}: run as root, or join the group that owns the socket ({group}) and log in again"
    )]
    Denied {
        /// The socket.
        endpoint: String,
        /// The group that owns it, by name or number.
        group: String,
    },
    /// The connection could not be made for another reason, or broke.
    #[error("error during connect: {method} {path:?}: {reason}")]
    Connection {
        /// Method of the request.
        method: String,
        /// Path of the request.
        path: String,
        /// What the kernel or the peer said.
        reason: String,
    },
    /// Certificates that cannot be used.
    #[error("{0}")]
    Tls(String),
    /// The daemon refused.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// HTTP status.
        status: u16,
        /// The daemon's own words.
        message: String,
    },
    /// The daemon answered with something this client cannot read.
    #[error("unexpected answer to {method} {path:?}: {reason}")]
    Answer {
        /// Method of the request.
        method: String,
        /// Path of the request.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// The HTTP status the daemon refused with.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Daemon { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the daemon says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether no daemon could be reached.
    pub fn is_connection(&self) -> bool {
        matches!(
            self,
            Error::Unreachable { .. } | Error::Denied { .. } | Error::Connection { .. }
        )
    }

    /// The daemon's own words, or the whole text.
    pub fn message(&self) -> String {
        match self {
            Error::Daemon { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Denied { .. } => ErrorKind::Forbidden,
            Error::Unreachable { .. } | Error::Connection { .. } => ErrorKind::Unavailable,
            Error::Tls(_) => ErrorKind::InvalidParameter,
            Error::Answer { .. } => ErrorKind::Internal,
            Error::Daemon { status, .. } => match status {
                304 => ErrorKind::NotModified,
                400 => ErrorKind::InvalidParameter,
                401 => ErrorKind::Unauthorized,
                403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                409 => ErrorKind::Conflict,
                413 => ErrorKind::TooLarge,
                501 => ErrorKind::NotImplemented,
                503 => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
        }
    }
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, Error>;
