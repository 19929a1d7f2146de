//! What every error of ours can say about itself, and how a chain of errors becomes one line.

use std::error::Error;

/// The kinds of failure a caller can act on. Closed: one function maps it to HTTP, one to exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ErrorKind {
    /// The named thing does not exist.
    NotFound,
    /// The request itself is wrong.
    InvalidParameter,
    /// The request is fine but contradicts the present state.
    Conflict,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// The caller is known and may not do this.
    Forbidden,
    /// Something needed is not reachable now.
    Unavailable,
    /// Nothing had to be changed.
    NotModified,
    /// Known, and not there.
    NotImplemented,
    /// The caller went away or took the request back.
    Cancelled,
    /// A bound was passed.
    TooLarge,
    /// Our fault, or the machine's.
    Internal,
}

/// An error that knows its kind. `Display` never contains the source; [`chain`] joins them.
pub trait Fault: Error {
    /// What kind of failure this is.
    fn kind(&self) -> ErrorKind;
    /// A short stable name of the failure, for programs.
    fn code(&self) -> Option<&'static str> {
        None
    }
    /// What is to blame: a file, a flag, a container.
    fn culprit(&self) -> Option<String> {
        None
    }
    /// The exit code of the command that failed, where it was one.
    fn exit(&self) -> Option<i32> {
        None
    }
    /// What the user can do about it.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// An error's own text; the system's errors as Go and C print them, with a small first letter and without Rust's
/// `(os error 28)`.
fn own(error: &dyn Error) -> String {
    let text = error.to_string();
    let Some((said, number)) = text.rsplit_once(" (os error ") else {
        return text;
    };
    if number
        .strip_suffix(')')
        .is_none_or(|n| n.parse::<i32>().is_err())
    {
        return text;
    }
    let (before, said) = match said.rsplit_once(": ") {
        Some((before, said)) => (format!("{before}: "), said),
        None => (String::new(), said),
    };
    let mut letters = said.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    before.chars().chain(first).chain(letters).collect()
}

/// The error and its sources joined by `": "`, which is how Go wraps.
pub fn chain(error: &dyn Error) -> String {
    let mut text = own(error);
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = own(inner);
        if !inner_text.is_empty() {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_errors_read_as_go_prints_them() {
        let full = std::io::Error::from_raw_os_error(28);
        assert_eq!(chain(&full), "no space left on device");
        let own = std::io::Error::other("Said (os error of mine)");
        assert_eq!(chain(&own), "Said (os error of mine)");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);
    #[derive(Debug, thiserror::Error)]
    #[error("middle")]
    struct Middle(#[source] std::fmt::Error);

    #[test]
    fn chain_joins_sources_as_go_wraps() {
        assert_eq!(
            chain(&Outer(Middle(std::fmt::Error))),
            format!("outer: middle: {}", std::fmt::Error)
        );
    }
}
