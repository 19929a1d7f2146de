//! Words as a shell reads them: quotes, escapes, `$name` and `${name...}` with their values.
//!
//! Not a shell: no commands are run, no files are looked for, and `${...}` knows the operators of Docker's reference:
//! `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use crate::pattern::{Greed, Pattern};
use crate::{Error, Escape};
use onggi_model::quote;

/// The value of a variable, if it is set.
pub type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What becomes of quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quotes {
    /// They hold a text together and go.
    #[default]
    Removed,
    /// They hold a text together and stay.
    Kept,
    /// They are characters like others: so it is in here-documents.
    Plain,
}

/// How words are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lexer {
    escape: Escape,
    quotes: Quotes,
    keep_escapes: bool,
    keep_unset: bool,
}

/// A text with values in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// Variables that were asked for and set.
    pub used: BTreeSet<String>,
    /// Variables that were asked for and not set.
    pub unset: BTreeSet<String>,
}

impl Lexer {
    /// With the escape of a file.
    pub fn new(escape: Escape) -> Self {
        Self {
            escape,
            ..Self::default()
        }
    }

    /// The same, with another way with quotes.
    pub fn quotes(self, quotes: Quotes) -> Self {
        Self { quotes, ..self }
    }

    /// The same; escapes stay in the text.
    pub(crate) fn keeping_escapes(self) -> Self {
        Self {
            keep_escapes: true,
            ..self
        }
    }

    /// The same; variables that are not set stay in the text as they are written.
    pub fn keeping_unset(self) -> Self {
        Self {
            keep_unset: true,
            ..self
        }
    }

    /// `text` with values in it, as one word: white space stays.
    ///
    /// # Errors
    /// Quotes or braces that do not end, operators that do not exist, `${name:?text}` of one that is not set.
    pub fn expand(&self, text: &str, variables: &Variables<'_>) -> Result<Expanded, Error> {
        let mut run = Run::of(*self, text, variables);
        let mut expanded = Expanded {
            text: run.until(None).map_err(|error| failed(text, &error))?.text,
            ..Expanded::default()
        };
        expanded.used = run.used;
        expanded.unset = run.unset;
        Ok(expanded)
    }

    /// `text` with values in it, cut at white space that is not quoted; also at the white space of values.
    ///
    /// # Errors
    /// As [`Lexer::expand`].
    pub fn words(&self, text: &str, variables: &Variables<'_>) -> Result<Vec<String>, Error> {
        let mut run = Run::of(*self, text, variables);
        Ok(run
            .until(None)
            .map_err(|error| failed(text, &error))?
            .finish())
    }
}

fn failed(text: &str, error: &Error) -> Error {
    Error::new(format!("failed to process {}: {error}", quote(text)))
}

/// One text being read.
struct Run<'a> {
    lexer: Lexer,
    chars: Peekable<Chars<'a>>,
    variables: &'a Variables<'a>,
    used: BTreeSet<String>,
    unset: BTreeSet<String>,
}

/// What has been read: as one text, and as words.
#[derive(Default)]
struct Read {
    text: String,
    words: Vec<String>,
    word: String,
}

impl Read {
    /// Of a text where white space parts words.
    fn plain(&mut self, text: &str) {
        self.text.push_str(text);
        for c in text.chars() {
            if c.is_whitespace() {
                self.end_word();
            } else {
                self.word.push(c);
            }
        }
    }

    /// Of a text where it does not.
    fn whole(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.end_word();
        self.words
    }
}

impl<'a> Run<'a> {
    fn of(lexer: Lexer, text: &'a str, variables: &'a Variables<'a>) -> Self {
        Self {
            lexer,
            chars: text.chars().peekable(),
            variables,
            used: BTreeSet::new(),
            unset: BTreeSet::new(),
        }
    }

    /// Up to `stop`, which is taken and left out, or the end.
    fn until(&mut self, stop: Option<char>) -> Result<Read, Error> {
        let mut read = Read::default();
        while let Some(&c) = self.chars.peek() {
            if stop == Some(c) {
                self.chars.next();
                return Ok(read);
            }
            match c {
                '$' => read.plain(&self.dollar()?),
                '\'' if self.lexer.quotes != Quotes::Plain => read.whole(&self.single_quoted()?),
                '"' if self.lexer.quotes != Quotes::Plain => read.whole(&self.double_quoted()?),
                c if c == self.lexer.escape.char() => {
                    self.chars.next();
                    if self.lexer.keep_escapes {
                        read.whole(&c.to_string());
                    }
                    // One at the very end escapes nothing.
                    if let Some(escaped) = self.chars.next() {
                        read.whole(&escaped.to_string());
                    }
                }
                c => {
                    self.chars.next();
                    read.plain(&c.to_string());
                }
            }
        }
        match stop {
            None => Ok(read),
            Some(stop) => Err(Error::new(format!(
                "unexpected end of statement while looking for matching {stop}"
            ))),
        }
    }

    fn single_quoted(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        text.extend(self.quote_mark());
        loop {
            match self.chars.peek() {
                None => return Err(endless("single-quote")),
                Some('\'') => {
                    text.extend(self.quote_mark());
                    return Ok(text);
                }
                Some(&c) => text.push(c),
            }
            self.chars.next();
        }
    }

    /// Inside of them `$` works, and the escape before `"`, `$` and itself.
    fn double_quoted(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        text.extend(self.quote_mark());
        loop {
            match self.chars.peek() {
                None => return Err(endless("double-quote")),
                Some('"') => {
                    text.extend(self.quote_mark());
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(&c) if c == self.lexer.escape.char() => {
                    self.chars.next();
                    if self.lexer.keep_escapes {
                        text.push(c);
                    }
                    match self.chars.peek() {
                        None => {}
                        Some(&next) if next == '"' || next == '$' || next == c => {
                            self.chars.next();
                            text.push(next);
                        }
                        Some(_) if self.lexer.keep_escapes => {}
                        Some(_) => text.push(c),
                    }
                }
                Some(&c) => {
                    self.chars.next();
                    text.push(c);
                }
            }
        }
    }

    /// The quote itself, where quotes are kept.
    fn quote_mark(&mut self) -> Option<char> {
        self.chars
            .next()
            .filter(|_| self.lexer.quotes == Quotes::Kept)
    }

    /// `$name`, `${name}` and `${name...}`.
    fn dollar(&mut self) -> Result<String, Error> {
        self.chars.next();
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.value(&name) {
                None if self.lexer.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.chars.next();
        match self.chars.peek() {
            None => return Err(unclosed()),
            Some('{' | '}' | ':') => return Err(Error::new("syntax error: bad substitution")),
            Some(_) => {}
        }
        let name = self.name();
        let unset = |rest: String| format!("${{{name}{rest}}}");
        match self.chars.next() {
            None => Err(unclosed()),
            Some('}') => Ok(match self.value(&name) {
                None if self.lexer.keep_unset => unset(String::new()),
                value => value.unwrap_or_default(),
            }),
            Some('/') => {
                let all = self.chars.next_if_eq(&'/').is_some();
                let pattern = self.operand('/', true)?;
                let replacement = self.operand('}', true)?;
                match self.value(&name) {
                    None if self.lexer.keep_unset => Ok(unset(format!("/{pattern}/{replacement}"))),
                    value => Ok(Pattern::parse(&pattern)?.replace(
                        &value.unwrap_or_default(),
                        &replacement,
                        all,
                    )),
                }
            }
            Some(':') => {
                let operator = self.chars.next().ok_or_else(unclosed)?;
                if !matches!(operator, '-' | '+' | '?') {
                    return Err(unsupported(&format!(":{operator}")));
                }
                let word = self.operand('}', false)?;
                match self.value(&name) {
                    None if self.lexer.keep_unset => Ok(unset(format!(":{operator}{word}"))),
                    value => substitute(&name, value, operator, word, Empty::IsUnset),
                }
            }
            Some(operator @ ('-' | '+' | '?')) => {
                let word = self.operand('}', false)?;
                match self.value(&name) {
                    None if self.lexer.keep_unset => Ok(unset(format!("{operator}{word}"))),
                    value => substitute(&name, value, operator, word, Empty::IsSet),
                }
            }
            Some(operator @ ('#' | '%')) => {
                let word = self.operand('}', true)?;
                match self.value(&name) {
                    None if self.lexer.keep_unset => Ok(unset(format!("{operator}{word}"))),
                    value => trim(&value.unwrap_or_default(), operator, &word),
                }
            }
            Some(other) => Err(unsupported(&other.to_string())),
        }
    }

    /// What stands behind an operator. Escapes in a pattern are the pattern's own.
    fn operand(&mut self, stop: char, is_pattern: bool) -> Result<String, Error> {
        let before = std::mem::replace(&mut self.lexer.keep_escapes, is_pattern);
        let read = self.until(Some(stop));
        self.lexer.keep_escapes = before;
        match read {
            Ok(read) => Ok(read.text),
            Err(_) if self.chars.peek().is_none() => Err(if stop == '/' {
                Error::new("syntax error: missing '/' in ${}")
            } else {
                unclosed()
            }),
            Err(error) => Err(error),
        }
    }

    /// Letters, digits and `_`; or digits alone; or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_ascii_digit() => {
                while let Some(c) = self.chars.next_if(char::is_ascii_digit) {
                    name.push(c);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            _ => {
                while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = (self.variables)(name);
        let noted = match value {
            Some(_) => &mut self.used,
            None => &mut self.unset,
        };
        noted.insert(name.to_owned());
        value
    }
}

/// What a variable without characters counts as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    IsSet,
    IsUnset,
}

/// `-`, `+` and `?`.
fn substitute(
    name: &str,
    value: Option<String>,
    operator: char,
    word: String,
    empty: Empty,
) -> Result<String, Error> {
    let was_set = value.is_some();
    let value = value.filter(|value| empty == Empty::IsSet || !value.is_empty());
    match (operator, value) {
        ('-', value) => Ok(value.unwrap_or(word)),
        ('+', value) => Ok(value.map(|_| word).unwrap_or_default()),
        (_, Some(value)) => Ok(value),
        (_, None) if !word.is_empty() => Err(Error::new(format!("{name}: {word}"))),
        (_, None) => Err(Error::new(format!(
            "{name}: is not allowed to be {}",
            if was_set { "empty" } else { "unset" }
        ))),
    }
}

/// `#`, `##`, `%` and `%%`; the second character is still in `word`.
fn trim(value: &str, operator: char, word: &str) -> Result<String, Error> {
    let (word, greed) = match word.strip_prefix(operator) {
        Some(word) => (word, Greed::Longest),
        None => (word, Greed::Shortest),
    };
    let pattern = Pattern::parse(word)?;
    Ok(match operator {
        '#' => pattern.without_prefix(value, greed),
        _ => pattern.without_suffix(value, greed),
    }
    .to_owned())
}

fn unclosed() -> Error {
    Error::new("syntax error: missing '}'")
}

fn unsupported(operator: &str) -> Error {
    Error::new(format!("unsupported modifier ({operator}) in substitution"))
}

fn endless(quote: &str) -> Error {
    Error::new(format!(
        "unexpected end of statement while looking for matching {quote}"
    ))
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
