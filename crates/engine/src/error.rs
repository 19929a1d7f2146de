//! The engine's error: a kind that decides status and exit codes, and a text that users of Docker know.
//!
//! Errors of the parts below are taken over with their kind; their chain is joined here, once, because a
//! client sees one line. What the text says is API: clients match on it.

use onggi_model::{ErrorKind, Fault, chain};

/// Why the engine did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    exit: Option<i32>,
}

/// What engine operations answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            exit: None,
        }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameter, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Something Docker has and we do not: named, with the way out.
    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotImplemented, message)
    }

    /// The error of a part below, in its own words.
    pub(crate) fn of(fault: &dyn Fault) -> Self {
        Self {
            kind: fault.kind(),
            message: chain(fault),
            hint: fault.hint(),
            exit: fault.exit(),
        }
    }

    /// What the system said while we did `what`.
    pub(crate) fn io(what: impl std::fmt::Display, error: impl Into<std::io::Error>) -> Self {
        let error: std::io::Error = error.into();
        Self::internal(format!("{what}: {error}"))
    }

    /// A command that did not succeed.
    pub(crate) fn exited(message: impl Into<String>, code: i32) -> Self {
        Self {
            exit: Some(code),
            ..Self::internal(message)
        }
    }

    /// The same, in other words.
    pub(crate) fn saying(self, message: String) -> Self {
        Self { message, ..self }
    }

    /// Puts `what: ` in front of the text.
    #[must_use]
    pub(crate) fn context(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Puts the reason behind the text.
    #[must_use]
    pub(crate) fn because(mut self, reason: impl std::fmt::Display) -> Self {
        self.message = format!("{}: {reason}", self.message);
        self
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn exit(&self) -> Option<i32> {
        self.exit
    }
}

impl From<onggi_rt::Error> for Error {
    fn from(error: onggi_rt::Error) -> Self {
        Self::internal(error.to_string())
    }
}

/// Takes over the errors of the parts below.
macro_rules! take_over {
    ($($fault:ty),* $(,)?) => {
        $(impl From<$fault> for Error {
            fn from(fault: $fault) -> Self {
                Self::of(&fault)
            }
        })*
    };
}

take_over!(
    onggi_builder::Error,
    onggi_image::Error,
    onggi_network::Error,
    onggi_volume::Error,
    onggi_snapshot::Error,
    onggi_store::Error,
    onggi_registry::Error,
    onggi_logs::Error,
);
