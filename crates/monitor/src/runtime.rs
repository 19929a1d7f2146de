//! The words of the runtime library and those of the protocol.

use onggi_runtime::{Error, Rootfs};

use crate::protocol::{FailureKind, RootfsSpec, UserSpec};

pub(crate) fn rootfs(spec: RootfsSpec) -> Rootfs {
    match spec {
        RootfsSpec::Directory(path) => Rootfs::Directory(path),
        RootfsSpec::Overlay {
            lower,
            upper,
            work,
            volatile,
        } => Rootfs::Overlay {
            lower,
            upper,
            work,
            volatile,
        },
    }
}

pub(crate) fn user(spec: UserSpec) -> onggi_runtime::UserSpec {
    onggi_runtime::UserSpec {
        user: spec.user,
        groups: spec.groups,
    }
}

/// Why something could not be made, for the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Other,
            message: message.into(),
        }
    }

    /// For `map_err`: what was tried, and why it failed.
    pub(crate) fn while_doing<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::other(format!("{what}: {}", onggi_model::chain(&error)))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::CommandNotFound { .. } => FailureKind::CommandNotFound,
            Error::CommandNotExecutable { .. } => FailureKind::NotExecutable,
            Error::User(_) => FailureKind::InvalidUser,
            Error::MissingMountSource { .. } => FailureKind::MissingSource,
            _ => FailureKind::Other,
        };
        Self {
            kind,
            message: onggi_model::chain(&error),
        }
    }
}
