//! What can go wrong between us and the kernel's netlink.

use rustix::io::Errno;

/// A failed exchange.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a message; `text` is its own explanation where it gave one.
    #[error("{what}: {}", Self::words(*errno, text.as_deref()))]
    Refused {
        /// The step that failed, for people.
        what: String,
        /// The error number of the acknowledgement.
        errno: Errno,
        /// The extended acknowledgement's text.
        text: Option<String>,
    },
    /// The socket itself failed.
    #[error("netlink socket: {what}")]
    Socket {
        /// The call that failed.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A value does not fit the field of the message that should carry it.
    #[error("{what} does not fit a netlink message")]
    DoesNotFit {
        /// The value.
        what: String,
    },
    /// The kernel sent something that cannot be read.
    #[error("unreadable answer from the kernel: {what}")]
    Unreadable {
        /// The part that is wrong.
        what: &'static str,
    },
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The kernel's error number, if the kernel has answered with one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Socket { source, .. } => Errno::from_io_error(source),
            Self::DoesNotFit { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// Whether the thing named is not there (`ENOENT`, `ENODEV`, `ESRCH`).
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(
            self.errno(),
            Some(Errno::NOENT | Errno::NODEV | Errno::SRCH | Errno::ADDRNOTAVAIL)
        )
    }

    /// Whether the thing to be made is there already.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.errno() == Some(Errno::EXIST)
    }

    pub(crate) fn socket(what: &'static str, source: impl Into<std::io::Error>) -> Self {
        Self::Socket {
            what,
            source: source.into(),
        }
    }

    fn words(errno: Errno, text: Option<&str>) -> String {
        let plain = std::io::Error::from(errno).to_string();
        let plain = plain
            .split(" (os error")
            .next()
            .unwrap_or_default()
            .to_lowercase();
        match text {
            Some(text) => format!("{plain}: {text}"),
            None => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_shown() {
        let error = Error::Refused {
            what: "create bridge onggi0".to_owned(),
            errno: Errno::EXIST,
            text: Some("interface exists".to_owned()),
        };
        assert_eq!(
            error.to_string(),
            "create bridge onggi0: file exists: interface exists"
        );
        assert!(error.is_present() && !error.is_absent());
    }
}
