//! Why a command ends without success, and how that is told.

/// A failure: what to print, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    /// Printed to stderr with a newline; nothing when empty.
    pub(crate) message: String,
    pub(crate) code: u8,
}

/// The result of everything a command does.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure with exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Error {
            message: message.into(),
            code: 1,
        }
    }

    /// The same with another exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// An exit code without a word.
    pub(crate) fn silent(code: u8) -> Self {
        Error {
            message: String::new(),
            code,
        }
    }
}

impl From<onggi_client::Error> for Error {
    fn from(error: onggi_client::Error) -> Self {
        Error::new(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::new(io_text(&error))
    }
}

/// An I/O error as Go prints the errno: lower case, without the number.
pub(crate) fn io_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// `open PATH: no such file or directory`.
pub(crate) fn path_error(verb: &str, path: &str, error: &std::io::Error) -> Error {
    Error::new(format!("{verb} {path}: {}", io_text(error)))
}
