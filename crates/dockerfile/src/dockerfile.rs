//! A file cut into statements: comments gone, continued lines joined, here-documents gathered.

use serde::Serialize;

use crate::directive::{Directives, Reader};
use crate::heredoc::Heredoc;
use crate::instruction::{self, Kind};
use crate::words::{self, Cut};
use crate::{Error, Escape, Lines};
use onggi_model::quote;

/// A Dockerfile, its words not yet understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// What stands at its top.
    pub directives: Directives,
    /// One after the other.
    pub statements: Vec<Statement>,
    /// Lines that are empty where one is continued: they will be errors some day.
    pub empty_continuations: Vec<EmptyContinuation>,
}

/// An empty line inside of a continued one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EmptyContinuation {
    /// The statement, joined.
    pub statement: String,
    /// Where it ends.
    pub lines: Lines,
}

/// How a command is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A text for the shell.
    Shell,
    /// A JSON array: program and arguments.
    Exec,
}

/// One instruction with its arguments, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// `FROM`, `run`, ..., as written.
    pub keyword: String,
    /// `--from=build`, without quotes.
    pub flags: Vec<String>,
    /// The words behind; for ENV and LABEL name, value and separator of each.
    pub arguments: Vec<String>,
    /// Whether the arguments were a JSON array.
    pub form: Form,
    /// What ONBUILD is to do.
    pub trigger: Option<Box<Statement>>,
    /// Here-documents, in their order.
    pub heredocs: Vec<Heredoc>,
    /// The text without its here-documents, lines joined.
    pub original: String,
    /// Where it stands, with its here-documents.
    pub lines: Lines,
    /// The comments right above.
    pub comments: Vec<String>,
}

impl Dockerfile {
    /// Reads a file.
    ///
    /// # Errors
    /// With the line, where directives, words or here-documents are wrong, and for a file without instructions. Unknown
    /// instructions are found by [`crate::Instruction::parse`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut source = Source {
            lines: text.split_inclusive('\n'),
            number: 0,
        };
        let mut directives = Reader::default();
        let mut statements = Vec::new();
        let mut empty_continuations = Vec::new();
        let mut comments = Vec::new();
        while let Some(line) = source.next() {
            let first = source.number;
            let line = line.trim_end_matches(['\r', '\n']).trim_start();
            if directives.take(line, first)? {
                continue;
            }
            if let Some(comment) = line.strip_prefix('#') {
                match comment.trim() {
                    "" => comments.clear(),
                    comment => comments.push(comment.to_owned()),
                }
                continue;
            }
            let escape = directives.found.escape;
            let joined = source.join(line, escape);
            if joined.text.is_empty() && !joined.was_continued {
                comments.clear();
                continue;
            }
            let here = |source: &Source<'_>| Lines {
                first,
                last: source.number,
            };
            if joined.has_empty_line {
                empty_continuations.push(EmptyContinuation {
                    statement: joined.text.clone(),
                    lines: Lines {
                        first: source.number,
                        last: source.number,
                    },
                });
            }
            let mut statement =
                Statement::parse(&joined.text, escape).map_err(|error| error.at(here(&source)))?;
            statement.heredocs = source
                .heredocs(&statement)
                .map_err(|error| error.at(here(&source)))?;
            statement.lines = here(&source);
            statement.comments = std::mem::take(&mut comments);
            statements.push(statement);
        }
        if statements.is_empty() {
            return Err(Error::new("file with no instructions"));
        }
        Ok(Self {
            directives: directives.found,
            statements,
            empty_continuations,
        })
    }

    /// The statements as s-expressions, one a line.
    pub fn expressions(&self) -> String {
        let lines = self
            .statements
            .iter()
            .map(|statement| statement.expression() + "\n");
        lines.collect()
    }
}

impl Statement {
    /// Of a joined line; lines, comments and here-documents are whoever calls to fill in.
    ///
    /// # Errors
    /// Arguments that cannot be cut.
    pub fn parse(text: &str, escape: Escape) -> Result<Self, Error> {
        let (keyword, rest) = words::split_once(text.trim());
        let (flags, rest) = words::flags(rest.unwrap_or_default());
        let rest = rest.trim();
        let kind = Kind::of(keyword);
        let (arguments, form) = match kind {
            Some(kind) => words::cut(kind.cut, kind.name, rest, escape)?,
            // It is no instruction, and refused as one.
            None => (vec![String::new()], Form::Shell),
        };
        let trigger = match kind {
            Some(kind) if kind.cut == Cut::Statement && !rest.is_empty() => {
                Some(Box::new(Self::parse(rest, escape)?))
            }
            _ => None,
        };
        Ok(Self {
            keyword: keyword.to_owned(),
            flags,
            arguments,
            form,
            trigger,
            heredocs: Vec::new(),
            original: text.to_owned(),
            lines: Lines { first: 0, last: 0 },
            comments: Vec::new(),
        })
    }

    /// `(keyword ["--flag"] "argument" ...)`, the keyword in lower case.
    pub fn expression(&self) -> String {
        let mut out = format!("({}", self.keyword.to_lowercase());
        if !self.flags.is_empty() {
            let flags: Vec<String> = self.flags.iter().map(|flag| quote(flag)).collect();
            out += &format!(" [{}]", flags.join(" "));
        }
        for argument in &self.arguments {
            out += &format!(" {}", quote(argument));
        }
        if let Some(trigger) = &self.trigger {
            out += &format!(" {}", trigger.expression());
        }
        out + ")"
    }

    /// Whether here-documents may belong to it.
    fn may_have_heredocs(&self) -> bool {
        let inner = self.trigger.as_deref().unwrap_or(self);
        inner.form == Form::Shell && instruction::may_have_heredocs(&inner.keyword)
    }
}

/// The lines of the file, and how many were read.
struct Source<'a> {
    lines: std::str::SplitInclusive<'a, char>,
    number: usize,
}

/// A line and those that continue it.
#[derive(Default)]
struct Joined {
    text: String,
    was_continued: bool,
    has_empty_line: bool,
}

impl<'a> Source<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.next()?;
        self.number += 1;
        Some(line)
    }

    /// `line` and what it is continued with; comments between are left out.
    fn join(&mut self, line: &str, escape: Escape) -> Joined {
        let mut joined = Joined::default();
        let mut more = push(&mut joined.text, line, escape);
        joined.was_continued = more;
        while more {
            let Some(line) = self.next() else { break };
            let line = line.trim_end_matches(['\r', '\n']);
            let trimmed = line.trim_start();
            if trimmed.starts_with('#') {
                continue;
            }
            if trimmed.is_empty() {
                joined.has_empty_line = true;
                continue;
            }
            more = push(&mut joined.text, line, escape);
        }
        joined
    }

    /// The documents that `statement` asks for, from the lines behind it.
    fn heredocs(&mut self, statement: &Statement) -> Result<Vec<Heredoc>, Error> {
        if !statement.original.contains("<<") || !statement.may_have_heredocs() {
            return Ok(Vec::new());
        }
        let mut heredocs = Heredoc::of_line(&statement.original)?;
        for heredoc in &mut heredocs {
            loop {
                let line = self
                    .next()
                    .ok_or_else(|| Error::new("unterminated heredoc"))?;
                if heredoc.ends_with(line) {
                    break;
                }
                heredoc.content.push_str(line);
            }
        }
        Ok(heredocs)
    }
}

/// Adds a line; whether the next one continues it: it ends with the escape, which is not escaped itself.
fn push(text: &mut String, line: &str, escape: Escape) -> bool {
    let escape = escape.char();
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(before) if !before.ends_with(escape) => {
            text.push_str(before);
            true
        }
        _ => {
            text.push_str(line);
            false
        }
    }
}

#[cfg(test)]
#[path = "dockerfile_tests.rs"]
mod tests;
