//! What can go wrong with a template, in Go's words.

/// Why a template could not be parsed or rendered. `Display` is Go's text, starting with `template: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no template.
    #[error("template: {name}:{line}: {message}")]
    Parse {
        /// The template's name; empty for `--format`.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Go's message.
        message: String,
    },
    /// The template does not fit the data.
    #[error("template: {name}:{position}executing {name:?} at <{at}>: {message}")]
    Execute {
        /// The template's name; empty for `--format`.
        name: String,
        /// `LINE:COLUMN: `, the column counted from 0.
        position: String,
        /// The text of the failing node.
        at: String,
        /// Go's message.
        message: String,
    },
    /// Running failed at no place of the template (recursion, too many rounds of a loop).
    #[error("template: {name}: {message}")]
    Other {
        /// The template's name; empty for `--format`.
        name: String,
        /// What happened.
        message: String,
    },
}

/// The result of parsing or rendering.
pub type Result<T> = std::result::Result<T, Error>;
