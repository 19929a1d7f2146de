//! What is wrong with a file, and on which of its lines.

use std::fmt::Write as _;

use onggi_model::{ErrorKind, Fault};
use serde::Serialize;

/// Lines of a file, counted from 1, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// The first one.
    pub first: usize,
    /// The last one.
    pub last: usize,
}

/// Why a Dockerfile cannot be read.
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

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            lines: None,
        }
    }

    /// The same, with its place unless it has one already.
    pub(crate) fn at(mut self, lines: Lines) -> Self {
        self.lines.get_or_insert(lines);
        self
    }

    /// The same, as what is said of an instruction: its line is part of the text.
    pub(crate) fn of_instruction(mut self, lines: Lines) -> Self {
        self.message = format!(
            "dockerfile parse error on line {}: {}",
            lines.first, self.message
        );
        self.at(lines)
    }

    /// Where it is, if at one place.
    pub fn lines(&self) -> Option<Lines> {
        self.lines
    }

    /// The lines it is about and some around them, marked, as BuildKit shows them; empty without a place.
    pub fn excerpt(&self, name: &str, text: &str) -> String {
        self.lines
            .map_or_else(String::new, |lines| lines.excerpt(name, text))
    }
}

const RULER: &str = "--------------------";

impl Lines {
    /// These lines of `text`, marked, with as many around them that four are seen, below `name` and their number.
    pub fn excerpt(self, name: &str, text: &str) -> String {
        let all: Vec<&str> = text.split('\n').collect();
        if self.first == 0 || self.first > all.len() {
            return String::new();
        }
        let (mut first, mut last) = (self.first, self.last.clamp(self.first, all.len()));
        let wanted = if first == last { 4 } else { 2 };
        let mut shown = 0;
        while shown < wanted {
            if first > 1 {
                first -= 1;
                shown += 1;
            }
            if last < all.len() {
                last += 1;
                shown += 1;
            }
            shown += 1;
        }
        let mut out = format!("{name}:{}\n{RULER}\n", self.first);
        for number in first..=last {
            let mark = if (self.first..=self.last).contains(&number) {
                ">>>"
            } else {
                "   "
            };
            let line = all[number - 1].trim_end_matches('\r');
            let _ = writeln!(out, " {number:3} | {mark} {line}");
        }
        out.push_str(RULER);
        out.push('\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_with_their_neighbours() {
        let text = "FROM alpine\nRUN a\nCOPY --nosuchflag . .\nRUN b\nRUN c\n";
        let error =
            Error::new("unknown flag: --nosuchflag").of_instruction(Lines { first: 3, last: 3 });
        assert_eq!(
            error.to_string(),
            "dockerfile parse error on line 3: unknown flag: --nosuchflag"
        );
        assert_eq!(
            error.excerpt("Dockerfile", text),
            "Dockerfile:3\n\
             --------------------\n   \
             1 |     FROM alpine\n   \
             2 |     RUN a\n   \
             3 | >>> COPY --nosuchflag . .\n   \
             4 |     RUN b\n   \
             5 |     RUN c\n\
             --------------------\n"
        );
        assert_eq!(Lines { first: 9, last: 9 }.excerpt("Dockerfile", text), "");
    }
}
