//! Shell patterns inside `${name#pattern}` and its kin: `*`, `?` and what is escaped (POSIX, Shell Command Language 2.14).

use crate::Error;

/// A pattern, ready to be compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    One,
    Any,
}

/// How much a `*` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greed {
    Shortest,
    Longest,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Part::Char(escaped),
                    other => {
                        let escaped = other.map(String::from).unwrap_or_default();
                        return Err(Error::new(format!(
                            "invalid pattern ({text}) in substitution: invalid escape '\\{escaped}'"
                        )));
                    }
                },
                c => Part::Char(c),
            });
        }
        Ok(Self(parts))
    }

    /// `value` without what matches at its beginning.
    pub(crate) fn without_prefix<'a>(&self, value: &'a str, greed: Greed) -> &'a str {
        let ends = boundaries(value);
        let end = pick(ends, greed, |&end| self.matches(&value[..end]));
        &value[end.unwrap_or(0)..]
    }

    /// `value` without what matches at its end.
    pub(crate) fn without_suffix<'a>(&self, value: &'a str, greed: Greed) -> &'a str {
        let starts = boundaries(value).rev();
        let start = pick(starts, greed, |&start| self.matches(&value[start..]));
        &value[..start.unwrap_or(value.len())]
    }

    /// `value` with the first match, or each, replaced; a match takes as much as it can.
    pub(crate) fn replace(&self, value: &str, replacement: &str, all: bool) -> String {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(first) = rest.chars().next() {
            let end = pick(boundaries(rest), Greed::Longest, |&end| {
                end > 0 && self.matches(&rest[..end])
            });
            let Some(end) = end else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            };
            out.push_str(replacement);
            rest = &rest[end..];
            if !all {
                break;
            }
        }
        out + rest
    }

    /// Whether it matches the whole of `text`: for each part, where in the text it may have come to.
    fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        let mut reached = vec![false; chars.len() + 1];
        reached[0] = true;
        for part in &self.0 {
            let mut next = vec![false; chars.len() + 1];
            for (at, _) in reached.iter().enumerate().filter(|(_, yes)| **yes) {
                match part {
                    Part::Any => {
                        next[at..].fill(true);
                        break;
                    }
                    Part::One if at < chars.len() => next[at + 1] = true,
                    Part::Char(c) if chars.get(at) == Some(c) => next[at + 1] = true,
                    Part::One | Part::Char(_) => {}
                }
            }
            reached = next;
        }
        reached[chars.len()]
    }
}

/// Where characters begin, and the end.
fn boundaries(text: &str) -> impl DoubleEndedIterator<Item = usize> + '_ {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}

/// The first, or the last.
fn pick<T>(
    mut among: impl DoubleEndedIterator<Item = T>,
    greed: Greed,
    is_right: impl FnMut(&T) -> bool,
) -> Option<T> {
    match greed {
        Greed::Shortest => among.find(is_right),
        Greed::Longest => among.rfind(is_right),
    }
}
