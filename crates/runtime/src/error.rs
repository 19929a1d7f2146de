//! What can fail between a specification and a running process. Errors of the child cross the sync socket as data, so they carry
//! text, not sources.

use onggi_model::{ErrorKind, Fault};
use serde::{Deserialize, Serialize};

/// Why a container or a process in it could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The program does not exist in the container (exit code 127).
    #[error("{text}")]
    CommandNotFound {
        /// As the caller named it.
        command: String,
        /// The whole sentence, as `exec: "foo": executable file not found in $PATH`.
        text: String,
    },
    /// The program is there and cannot be run (exit code 126).
    #[error("{text}")]
    CommandNotExecutable {
        /// As the caller named it.
        command: String,
        /// The whole sentence, as `exec: "/x": permission denied`.
        text: String,
    },
    /// A user or group that the container's passwd and group files do not know, or that is out of range.
    #[error("{0}")]
    User(String),
    /// The source of a bind mount is not there.
    #[error(
        "error mounting {path:?} to rootfs at {destination:?}: stat {path}: no such file or directory"
    )]
    MissingMountSource {
        /// On the host.
        path: String,
        /// In the container.
        destination: String,
    },
    /// A mount failed.
    #[error("error mounting {from:?} to rootfs at {destination:?}: {text}")]
    Mount {
        /// Source or file system type.
        from: String,
        /// In the container.
        destination: String,
        /// What went wrong.
        text: String,
    },
    /// The working directory cannot be entered.
    #[error("chdir to cwd ({path:?}) set in config.json failed: {text}")]
    WorkingDirectory {
        /// In the container.
        path: String,
        /// What went wrong.
        text: String,
    },
    /// The specification contradicts itself or the rules of the OCI.
    #[error("{0}")]
    Invalid(String),
    /// The specification asks for something this runtime or kernel does not have.
    #[error("{0}")]
    Unsupported(String),
    /// The root file system cannot be mounted or entered.
    #[error("preparing the root file system: {0}")]
    Rootfs(String),
    /// A namespace cannot be made or joined.
    #[error("namespace: {0}")]
    Namespace(String),
    /// The control group cannot be made or joined.
    #[error("cgroup: {0}")]
    Cgroup(String),
    /// A console cannot be made.
    #[error("console: {0}")]
    Console(String),
    /// A kernel parameter, limit or filter is refused.
    #[error("{0}")]
    Setting(String),
    /// The child went away without a word, or the container is not running.
    #[error("{0}")]
    Gone(String),
    /// Our fault, or the machine's.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// For `map_err`: an internal error that says what was tried.
    pub(crate) fn internal<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::Internal(sentence(what, &error))
    }

    pub(crate) fn rootfs<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::Rootfs(sentence(what, &error))
    }

    pub(crate) fn namespace<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::Namespace(sentence(what, &error))
    }

    pub(crate) fn console<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::Console(sentence(what, &error))
    }

    pub(crate) fn setting<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::Setting(sentence(what, &error))
    }

    pub(crate) fn cgroup<E: std::error::Error>(error: E) -> Self {
        Self::Cgroup(onggi_model::chain(&error))
    }

    /// The exit code Docker and shells give for it: 127, 126, or `None` for failures before the command mattered.
    pub fn exit_code(&self) -> Option<u8> {
        match self {
            Self::CommandNotFound { .. } => Some(127),
            Self::CommandNotExecutable { .. } => Some(126),
            _ => None,
        }
    }
}

fn sentence(what: &str, error: &dyn std::error::Error) -> String {
    format!("{what}: {}", reason(error))
}

/// The text of an error without Rust's "(os error N)", with a small first letter, as Go and C print it.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let text = onggi_model::chain(error);
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        // "No such file": small; "EOF", "I/O": as they are.
        Some(first)
            if !letters
                .as_str()
                .starts_with(|c: char| c.is_uppercase() || c == '/') =>
        {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => text.to_owned(),
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::CommandNotFound { .. }
            | Self::CommandNotExecutable { .. }
            | Self::User(_)
            | Self::MissingMountSource { .. }
            | Self::WorkingDirectory { .. }
            | Self::Invalid(_) => ErrorKind::InvalidParameter,
            Self::Unsupported(_) => ErrorKind::NotImplemented,
            Self::Gone(_) => ErrorKind::Conflict,
            Self::Mount { .. }
            | Self::Rootfs(_)
            | Self::Namespace(_)
            | Self::Cgroup(_)
            | Self::Console(_)
            | Self::Setting(_)
            | Self::Internal(_) => ErrorKind::Internal,
        }
    }

    fn culprit(&self) -> Option<String> {
        match self {
            Self::CommandNotFound { command, .. } | Self::CommandNotExecutable { command, .. } => {
                Some(command.clone())
            }
            Self::MissingMountSource { path, .. } | Self::WorkingDirectory { path, .. } => {
                Some(path.clone())
            }
            Self::Mount { destination, .. } => Some(destination.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_the_kernel_says_them() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(reason(&error), "no such file or directory");
        let error = std::io::Error::from_raw_os_error(5);
        assert_eq!(reason(&error), "input/output error");
    }

    #[test]
    fn exit_codes_are_the_shells() {
        let missing = Error::CommandNotFound {
            command: "x".into(),
            text: String::new(),
        };
        assert_eq!(missing.exit_code(), Some(127));
        assert_eq!(Error::Rootfs(String::new()).exit_code(), None);
    }
}
