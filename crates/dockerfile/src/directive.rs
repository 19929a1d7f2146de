//! Parser directives: comments at the very top of a file that say how the rest is read.

use serde::Serialize;

use crate::{Error, Lines};

/// What escapes a character, and continues a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Escape {
    /// `\`
    #[default]
    Backslash,
    /// A backtick, for paths of Windows.
    Backtick,
}

impl Escape {
    /// The character.
    pub fn char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// The directives of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Directives {
    /// `# syntax=docker/dockerfile:1`: which frontend the author asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syntax: Option<String>,
    /// `# escape=` and a backtick.
    pub escape: Escape,
    /// `# check=skip=all;error=true`: what the lint leaves out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// Reads them line by line, until one is none.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) found: Directives,
    escape_seen: bool,
    over: bool,
}

impl Reader {
    /// Whether this line is a directive; `line` has no white space before it and no end.
    pub(crate) fn take(&mut self, line: &str, number: usize) -> Result<bool, Error> {
        if self.over {
            return Ok(false);
        }
        let Some((name, value)) = split(line) else {
            self.over = true;
            return Ok(false);
        };
        let at = |error: Error| {
            error.at(Lines {
                first: number,
                last: number,
            })
        };
        let seen = match name.as_str() {
            "syntax" => self.found.syntax.replace(value.to_owned()).is_some(),
            "check" => self.found.check.replace(value.to_owned()).is_some(),
            "escape" => {
                self.found.escape = match value {
                    "\\" => Escape::Backslash,
                    "`" => Escape::Backtick,
                    other => {
                        return Err(at(Error::new(format!(
                            "invalid escape token '{other}' does not match ` or \\"
                        ))));
                    }
                };
                std::mem::replace(&mut self.escape_seen, true)
            }
            _ => {
                self.over = true;
                return Ok(false);
            }
        };
        if seen {
            return Err(at(Error::new(format!(
                "only one {name} parser directive can be used"
            ))));
        }
        Ok(true)
    }
}

/// Name in lower case and value of `# name = value`.
fn split(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let letters = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    (letters && !value.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}
