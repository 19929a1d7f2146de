//! What cannot be built, in BuildKit's words, and on which lines.

use onggi_dockerfile::Lines;
use onggi_model::{ErrorKind, Fault};

/// Why something cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    lines: Option<Lines>,
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

impl From<onggi_dockerfile::Error> for Error {
    fn from(error: onggi_dockerfile::Error) -> Self {
        Self {
            message: error.to_string(),
            lines: error.lines(),
        }
    }
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            lines: None,
        }
    }

    pub(crate) fn at(mut self, lines: Lines) -> Self {
        self.lines.get_or_insert(lines);
        self
    }

    /// Where it is, if at one place.
    pub fn lines(&self) -> Option<Lines> {
        self.lines
    }
}
