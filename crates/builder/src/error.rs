//! What cannot be built, in BuildKit's words, and on which lines.

use onggi_dockerfile::Lines;
use onggi_model::{ErrorKind, Fault, chain};

/// Why something cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    lines: Option<Lines>,
    kind: ErrorKind,
    exit: Option<i32>,
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn exit(&self) -> Option<i32> {
        self.exit
    }
}

impl From<onggi_dockerfile::Error> for Error {
    fn from(error: onggi_dockerfile::Error) -> Self {
        Self {
            lines: error.lines(),
            ..Self::new(error.to_string())
        }
    }
}

impl From<onggi_image::Error> for Error {
    fn from(error: onggi_image::Error) -> Self {
        Self::of(&error)
    }
}

impl From<onggi_store::Error> for Error {
    fn from(error: onggi_store::Error) -> Self {
        Self::of(&error)
    }
}

impl From<crate::files::Error> for Error {
    fn from(error: crate::files::Error) -> Self {
        let mut message = chain(&error);
        if let Some(hint) = error.hint() {
            message += &format!(" ({hint})");
        }
        Self {
            message,
            ..Self::of(&error)
        }
    }
}

impl From<onggi_rt::Error> for Error {
    fn from(error: onggi_rt::Error) -> Self {
        Self {
            kind: ErrorKind::Internal,
            ..Self::new(error.to_string())
        }
    }
}

impl Error {
    /// What whoever builds got wrong.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            lines: None,
            kind: ErrorKind::InvalidParameter,
            exit: None,
        }
    }

    /// What went wrong elsewhere, in its words.
    pub fn of(fault: &impl Fault) -> Self {
        Self {
            kind: fault.kind(),
            ..Self::new(chain(fault))
        }
    }

    /// A command that did not succeed.
    pub fn exited(message: impl Into<String>, code: i32) -> Self {
        Self {
            exit: Some(code),
            kind: ErrorKind::Internal,
            ..Self::new(message)
        }
    }

    /// The same, at this place unless it has one already.
    #[must_use]
    pub fn at(mut self, lines: Lines) -> Self {
        self.lines.get_or_insert(lines);
        self
    }

    /// What to do about it, unless it says so itself.
    pub fn way_out(&self) -> Option<&'static str> {
        crate::hints::hint(&self.message)
    }

    /// Where it is, if at one place.
    pub fn lines(&self) -> Option<Lines> {
        self.lines
    }
}
