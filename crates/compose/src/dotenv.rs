//! Files of variables: `.env`, `--env-file`, `env_file` and `label_file`. The grammar is the one Docker Compose reads:
//! names with or without `export`, values bare, in single or in double quotes over several lines, comments, and variables
//! in values. [`raw`] reads the lines as they are.

use std::collections::BTreeMap;

use crate::template::{Lookup, substitute};

/// One variable of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The line it is written in, from 1.
    pub line: u32,
}

/// Why a file is no such file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DotenvError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub message: String,
}

/// The variables of a text. `outer` is asked for what a name without a value means and for the variables in values,
/// before the ones that stand above.
///
/// # Errors
/// [`DotenvError`].
pub fn parse(
    text: &str,
    outer: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Assignment>, DotenvError> {
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n");
    let mut reader = Reader {
        left: &text,
        line: 1,
        outer,
        known: BTreeMap::new(),
    };
    let mut assignments = Vec::new();
    while reader.statement() {
        let line = reader.line;
        let (name, inherited) = reader.name()?;
        let value = match inherited {
            true => match outer(&name) {
                Some(value) => value,
                None => continue,
            },
            false => reader.value()?,
        };
        reader.known.insert(name.clone(), value.clone());
        assignments.push(Assignment { name, value, line });
    }
    Ok(assignments)
}

/// The variables of a text whose lines are taken as they are: no quotes, no escapes, no variables.
pub fn raw(text: &str, outer: &dyn Fn(&str) -> Option<String>) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => match outer(line.trim()) {
                Some(value) => (line, value),
                None => continue,
            },
        };
        assignments.push(Assignment {
            name: name.trim().to_owned(),
            value,
            line: index as u32 + 1,
        });
    }
    assignments
}

struct Reader<'a> {
    left: &'a str,
    line: u32,
    outer: &'a dyn Fn(&str) -> Option<String>,
    known: BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    fn error<T>(&self, message: impl Into<String>) -> Result<T, DotenvError> {
        Err(DotenvError {
            line: self.line,
            message: message.into(),
        })
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, left) = self.left.split_at(length);
        self.line += taken.matches('\n').count() as u32;
        self.left = left;
        taken
    }

    /// Goes to the next statement; is there one?
    fn statement(&mut self) -> bool {
        loop {
            let spaces = self.left.len() - self.left.trim_start().len();
            self.take(spaces);
            if !self.left.starts_with('#') {
                return !self.left.is_empty();
            }
            let end = self.left.find('\n').unwrap_or(self.left.len());
            self.take(end);
        }
    }

    /// The name, and whether its value is to be inherited.
    fn name(&mut self) -> Result<(String, bool), DotenvError> {
        if let Some(rest) = self.left.strip_prefix("export")
            && rest.starts_with([' ', '\t'])
        {
            self.left = rest.trim_start_matches([' ', '\t']);
        }
        let end = self.left.find(['=', ':', '\n']).unwrap_or(self.left.len());
        let name = self.left[..end].trim_end();
        let odd = |c: &char| !(c.is_alphanumeric() || "_.-[]".contains(*c));
        if let Some(c) = name.chars().find(odd) {
            let near = self.left.lines().next().unwrap_or_default();
            return match c.is_whitespace() {
                true => self.error("key cannot contain a space"),
                false => self.error(format!(
                    "unexpected character \"{c}\" in variable name near \"{near}\""
                )),
            };
        }
        if name.is_empty() {
            return self.error("a variable without a name");
        }
        let name = name.to_owned();
        let inherited = !self.left[end..].starts_with(['=', ':']);
        self.take(end + usize::from(!inherited));
        Ok((name, inherited))
    }

    fn value(&mut self) -> Result<String, DotenvError> {
        let spaces = self.left.len() - self.left.trim_start_matches([' ', '\t']).len();
        self.take(spaces);
        match self.left.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            _ => {
                let end = self.left.find('\n').unwrap_or(self.left.len());
                let line = self.take(end);
                let value = match line.starts_with('#') && spaces > 0 {
                    true => "",
                    false => line.split(" #").next().unwrap_or_default(),
                };
                let value = value.split("\t#").next().unwrap_or_default();
                self.expand(value.trim_end())
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, DotenvError> {
        let mut value = String::new();
        let mut letters = self.left[1..].char_indices();
        while let Some((index, c)) = letters.next() {
            if c == quote {
                self.take(1 + index + 1);
                return match quote {
                    '"' => self.expand(&unescape(&value)),
                    _ => Ok(value),
                };
            }
            if c != '\\' {
                value.push(c);
                continue;
            }
            match letters.next() {
                Some((_, escaped)) if escaped == quote => value.push(quote),
                Some((_, escaped)) => value.extend(['\\', escaped]),
                None => value.push('\\'),
            }
        }
        let first = self.left.lines().next().unwrap_or_default();
        self.error(format!("unterminated quoted value {first}"))
    }

    fn expand(&self, value: &str) -> Result<String, DotenvError> {
        if !value.contains('$') {
            return Ok(value.to_owned());
        }
        match substitute(value, &mut Known(self)) {
            Ok(value) => Ok(value),
            Err(error) => self.error(error.to_string()),
        }
    }
}

struct Known<'a>(&'a Reader<'a>);

impl Lookup for Known<'_> {
    fn value(&mut self, name: &str, _: Option<&str>) -> Option<String> {
        (self.0.outer)(name).or_else(|| self.0.known.get(name).cloned())
    }

    fn blank(&mut self, _: &str) {}
}

/// The escapes of double quotes; `\$` becomes the `$$` of the variables that are looked for next.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('$') => out.push_str("$$"),
            Some(c @ ('"' | '\\')) => out.push(c),
            Some('0') => {
                let mut number = 0;
                for _ in 0..3 {
                    match letters.peek().and_then(|c| c.to_digit(8)) {
                        Some(digit) => number = number * 8 + digit,
                        None => break,
                    }
                    letters.next();
                }
                out.extend(char::from_u32(number));
            }
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outer(name: &str) -> Option<String> {
        (name == "OUT").then(|| "outside".to_owned())
    }

    fn values(text: &str) -> Vec<(String, String)> {
        let assignments = parse(text, &outer).unwrap();
        assignments.into_iter().map(|a| (a.name, a.value)).collect()
    }

    #[test]
    fn every_way_to_write_a_value() {
        for (text, value) in [
            ("A=plain", "plain"),
            ("A = spaced  ", "spaced"),
            ("export A=exported", "exported"),
            ("A: yaml", "yaml"),
            ("A=", ""),
            ("A=x # comment", "x"),
            ("A=x#no comment", "x#no comment"),
            ("A= # comment", ""),
            ("A=#text", "#text"),
            ("A='single $OUT \\n' # c", "single $OUT \\n"),
            ("A='it\\'s'", "it's"),
            ("A=\"double $OUT\\n\"", "double outside\n"),
            ("A=\"a\\\\b \\\"q\\\" \\$OUT\"", "a\\b \"q\" $OUT"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=$OUT-${X:-d}", "outside-d"),
            ("A=a b c", "a b c"),
            ("A=x\r\n", "x"),
            ("A='x'\r\n#y\r\n", "x"),
            ("\u{feff}A=bom", "bom"),
            ("A=https://u:p@h/?a=b", "https://u:p@h/?a=b"),
            ("A.b-c=x", "x"),
        ] {
            assert_eq!(values(text)[0].1, value, "{text}");
        }
    }

    #[test]
    fn values_use_what_stands_above_and_around() {
        let text = "A=1\nB=${A}2\n\n# none\nOUT\nMISSING\nC=$OUT\n";
        let all: Vec<_> = values(text)
            .into_iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        assert_eq!(all, ["A=1", "B=12", "OUT=outside", "C=outside"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, message) in [
            (
                "A=1\nB\"=2",
                2,
                "unexpected character \"\"\" in variable name near \"B\"=2\"",
            ),
            ("A B=1", 1, "key cannot contain a space"),
            ("\nA=\"open\nnext", 2, "unterminated quoted value \"open"),
            ("=x", 1, "a variable without a name"),
            (
                "A=${X:?gone}",
                1,
                "required variable X is missing a value: gone",
            ),
        ] {
            let error = parse(text, &outer).unwrap_err();
            assert_eq!(
                (error.line, error.message.as_str()),
                (line, message),
                "{text}"
            );
        }
    }

    #[test]
    fn raw_lines_stay_as_they_are() {
        let all = raw("# c\nA='x' # y\n\nB=$OUT\nOUT\nGONE\n", &outer);
        let all: Vec<_> = all
            .iter()
            .map(|a| (a.name.as_str(), a.value.as_str()))
            .collect();
        assert_eq!(all, [("A", "'x' # y"), ("B", "$OUT"), ("OUT", "outside")]);
    }
}
