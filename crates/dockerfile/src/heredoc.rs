//! Here-documents: text that stands in the Dockerfile itself (`RUN <<EOF`, `COPY <<config.txt /etc/`).

use serde::Serialize;

use crate::Error;
use crate::expand::{Lexer, Quotes};

/// A document, and how it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heredoc {
    /// The word that ends it; for COPY and ADD the name of the file too.
    pub name: String,
    /// `3<<EOF`: the file descriptor.
    pub file_descriptor: u32,
    /// Variables in it have values: no part of its word was quoted.
    pub expand: bool,
    /// `<<-EOF`: tabs before its lines do not count.
    pub chomp: bool,
    /// Its lines, with their ends, tabs and all.
    pub content: String,
}

impl Heredoc {
    /// What a word asks for: `[fd]<<[-]name`; `None` if it asks for no document.
    ///
    /// # Errors
    /// Quotes in the name that do not end.
    pub(crate) fn parse(word: &str) -> Result<Option<Self>, Error> {
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (descriptor, rest) = word.split_at(digits);
        let Some(rest) = rest.strip_prefix("<<") else {
            return Ok(None);
        };
        let (chomp, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.is_empty() || rest.contains('<') {
            return Ok(None);
        }
        let lexer = Lexer::default().keeping_unset();
        let words = lexer.words(rest, &|_: &str| None)?;
        let [name] = words.as_slice() else {
            return Ok(None);
        };
        let raw = lexer.quotes(Quotes::Kept).words(rest, &|_: &str| None)?;
        let quotes = |words: &[String]| -> usize {
            words
                .iter()
                .map(|word| word.matches(['\'', '"']).count())
                .sum()
        };
        Ok(Some(Self {
            name: name.clone(),
            file_descriptor: descriptor.parse().unwrap_or(0),
            expand: quotes(&words) == quotes(&raw),
            chomp,
            content: String::new(),
        }))
    }

    /// All that a line asks for, in their order.
    pub(crate) fn of_line(line: &str) -> Result<Vec<Self>, Error> {
        let lexer = Lexer::default()
            .keeping_unset()
            .quotes(Quotes::Kept)
            .keeping_escapes();
        // A line that is no list of words for us may be one for the shell in the image: then it asks for nothing here.
        let words = lexer.words(line, &|_: &str| None).unwrap_or_default();
        let mut found = Vec::new();
        for word in words {
            found.extend(Self::parse(&word)?);
        }
        Ok(found)
    }

    /// Whether this line ends it.
    pub(crate) fn ends_with(&self, line: &str) -> bool {
        let line = line.trim_end_matches(['\r', '\n']);
        let line = if self.chomp {
            line.trim_start_matches('\t')
        } else {
            line
        };
        line == self.name
    }

    /// Its text as the author meant it: without the tabs if they do not count.
    pub fn text(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content
            .split_inclusive('\n')
            .map(|line| line.trim_start_matches('\t'))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_ask_for_documents() {
        for (word, expected) in [
            ("<<EOF", Some(("EOF", 0, true, false))),
            ("<<-EOF", Some(("EOF", 0, true, true))),
            ("3<<EOF", Some(("EOF", 3, true, false))),
            ("<<\"EOF\"", Some(("EOF", 0, false, false))),
            ("<<'EOF'", Some(("EOF", 0, false, false))),
            ("<<E'O'F", Some(("EOF", 0, false, false))),
            ("<<$EOF", Some(("$EOF", 0, true, false))),
            ("<<", None),
            ("<<-", None),
            ("<<<EOF", None),
            ("<EOF", None),
            ("a<<EOF", None),
            ("<<a b", None),
        ] {
            let found = Heredoc::parse(word).unwrap();
            let found = found.as_ref().map(|doc| {
                (
                    doc.name.as_str(),
                    doc.file_descriptor,
                    doc.expand,
                    doc.chomp,
                )
            });
            assert_eq!(found, expected, "{word}");
        }
        assert!(Heredoc::parse("<<'EOF").is_err());
    }

    #[test]
    fn a_line_may_ask_for_several() {
        let names = |line| -> Vec<String> {
            Heredoc::of_line(line)
                .unwrap()
                .into_iter()
                .map(|doc| doc.name)
                .collect()
        };
        assert_eq!(names("COPY <<one <<two /dir/"), ["one", "two"]);
        assert_eq!(names("RUN cat <<EOF | sed 's/<<x/y/'"), ["EOF"]);
        assert!(names("RUN echo \"<<EOF\"").is_empty());
        assert!(names("RUN echo it's").is_empty());
    }
}
