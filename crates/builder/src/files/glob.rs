//! Wildcards in the sources of COPY and ADD: Go's `filepath.Match`, name by name.

use super::Error;

/// Whether a path has a character that stands for others; one behind a backslash does not.
pub(crate) fn is_wild(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// One name of a path, with what stands for others in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    One,
    Any,
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Reads one name.
    ///
    /// # Errors
    /// Brackets and escapes that do not end.
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut chars = name.chars();
        let wrong = || Error::wrong(format!("failed to match {name:?}: syntax error in pattern"));
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Char(chars.next().ok_or_else(wrong)?),
                '[' => class(&mut chars).ok_or_else(wrong)?,
                c => Part::Char(c),
            });
        }
        Ok(Self(parts))
    }

    /// Whether it stands for this name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // Where the last `*` is, and what it has taken so far: only the last one ever takes more.
        let mut star = None;
        while at < name.len() {
            match self.0.get(part) {
                Some(Part::Any) => {
                    star = Some((part, at));
                    part += 1;
                    continue;
                }
                Some(one) if one.is(name[at]) => {
                    (part, at) = (part + 1, at + 1);
                    continue;
                }
                _ => {}
            }
            let Some((any, taken)) = star else {
                return false;
            };
            star = Some((any, taken + 1));
            (part, at) = (any + 1, taken + 1);
        }
        self.0[part..].iter().all(|part| *part == Part::Any)
    }
}

impl Part {
    fn is(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::One => true,
            Self::Any => false,
            Self::Class { is_negated, ranges } => {
                let within = |(first, last): &(char, char)| (first..=last).contains(&&c);
                ranges.iter().any(within) != *is_negated
            }
        }
    }
}

/// Behind the bracket, to the one that closes it.
fn class(chars: &mut std::str::Chars<'_>) -> Option<Part> {
    let is_negated = chars.as_str().starts_with('^');
    if is_negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        let first = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Part::Class { is_negated, ranges }),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        let mut last = first;
        if chars.as_str().starts_with('-') {
            chars.next();
            last = match chars.next()? {
                ']' | '-' => return None,
                '\\' => chars.next()?,
                c => c,
            };
        }
        ranges.push((first, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_go() {
        for (pattern, matching, others) in [
            ("*", vec!["a", "", ".a"], vec![]),
            ("*.txt", vec!["a.txt", ".txt"], vec!["a.txts", "txt"]),
            ("a*b*c", vec!["abc", "aXbYbc", "abbc"], vec!["ab", "acb"]),
            ("a?", vec!["ab", "aö"], vec!["a", "abc"]),
            ("[a-c]x", vec!["ax", "cx"], vec!["dx", "x"]),
            ("[^a-c]x", vec!["dx"], vec!["ax"]),
            ("arr[[]0].txt", vec!["arr[0].txt"], vec!["arr0.txt"]),
            ("a\\*", vec!["a*"], vec!["ab"]),
            ("[\\]a]", vec!["]", "a"], vec!["\\"]),
            ("**", vec!["a", "ab"], vec![]),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            for name in matching {
                assert!(glob.matches(name), "{pattern} {name}");
            }
            for name in others {
                assert!(!glob.matches(name), "{pattern} {name}");
            }
        }
        for pattern in ["[", "[a", "[]", "[a-]", "[-a]", "a\\"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
        let wild = ["a*", "b/[c]", "?"].map(is_wild);
        assert_eq!(
            (wild, is_wild("a\\*b"), is_wild("a")),
            ([true; 3], false, false)
        );
    }
}
