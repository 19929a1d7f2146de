//! `.dockerignore`: which files of a context stay behind.
//!
//! Patterns are those of Go's `filepath.Match`, and `**` for any number of directories; what matches a directory matches
//! all below it; the last pattern that matches decides, and `!` before it takes files back in.

use crate::Error;
use onggi_model::quote;

/// The rules of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// Where it stands, from 1; 0 for one that no file has.
    line: usize,
    /// As it stands there.
    original: String,
    /// Cleaned, without a slash before it.
    text: String,
    parts: Vec<Part>,
    /// What each name that matches begins and ends with: most names are known by it.
    prefix: String,
    suffix: String,
    /// `!`: files come back.
    is_exception: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    /// `?`
    One,
    /// `*`
    Name,
    /// `**/`: any directories, or none.
    Directories,
    /// `**` at an end: anything.
    All,
    /// `[a-z]`
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Ignore {
    /// Reads a file: a pattern a line, comments behind `#` at the beginning of a line.
    ///
    /// # Errors
    /// Brackets or escapes that do not end, and `!` alone.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text
            .lines()
            .zip(1..)
            .filter(|(line, _)| !line.starts_with('#'))
            .map(|(line, number)| (line.trim(), number));
        let rules = lines
            .filter(|(line, _)| !line.is_empty())
            .map(|(line, number)| Rule::parse(line, number));
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// Rules that are there whatever the file says, behind its own: the Dockerfile and the file itself are needed to build.
    ///
    /// # Errors
    /// As [`Ignore::parse`].
    pub fn push(&mut self, pattern: &str) -> Result<(), Error> {
        self.0.push(Rule::parse(pattern, 0)?);
        Ok(())
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a file or directory stays behind. `path` is relative, its names parted by slashes.
    pub fn ignores(&self, path: &str) -> bool {
        self.0.iter().fold(false, |ignored, rule| {
            // A rule that could change nothing is not looked at.
            if rule.is_exception == ignored && rule.matches_with_parents(path) {
                !rule.is_exception
            } else {
                ignored
            }
        })
    }

    /// As [`Ignore::ignores`] for whoever walks a tree from its top down: what is known of the directory that `path` is in
    /// (`None` at the top) is not asked again.
    #[must_use]
    pub fn look(&self, parent: Option<&Verdict>, path: &str) -> Verdict {
        let mut verdict = Verdict {
            matched: Vec::with_capacity(self.0.len()),
            last: None,
        };
        for (number, rule) in self.0.iter().enumerate() {
            let above = parent.is_some_and(|parent| parent.matched[number]);
            let matches = above || rule.matches(path);
            if matches && verdict.last.is_some() == rule.is_exception {
                verdict.last = (!rule.is_exception).then_some(number);
            }
            verdict.matched.push(matches);
        }
        verdict
    }

    /// Whether nothing below an ignored directory can come back, so that nobody needs to look there.
    pub fn ignores_all_below(&self, directory: &str) -> bool {
        let mut last = None;
        for (number, rule) in self.0.iter().enumerate() {
            if rule.is_exception == last.is_some() && rule.matches_with_parents(directory) {
                last = (!rule.is_exception).then_some(number);
            }
        }
        self.takes_nothing_back(last, directory)
    }

    /// As [`Ignore::ignores_all_below`], for what [`Ignore::look`] has found of the directory.
    #[must_use]
    pub fn prunes(&self, verdict: &Verdict, directory: &str) -> bool {
        self.takes_nothing_back(verdict.last, directory)
    }

    /// Exceptions before the rule that ignores the directory change nothing below it, either.
    fn takes_nothing_back(&self, last: Option<usize>, directory: &str) -> bool {
        last.is_some_and(|last| {
            let mut behind = self.0[last + 1..].iter();
            !behind.any(|rule| rule.is_exception && rule.may_match_below(directory))
        })
    }

    /// Whether a rule that is no exception could match something below a directory.
    #[must_use]
    pub fn may_ignore_below(&self, directory: &str) -> bool {
        let mut rules = self.0.iter();
        rules.any(|rule| !rule.is_exception && rule.may_match_below(directory))
    }

    /// The rule that keeps a file back, if one does: its line, from 1, and its text. Rules that no file has are line 0.
    #[must_use]
    pub fn rule_of(&self, path: &str) -> Option<(usize, &str)> {
        let mut last: Option<&Rule> = None;
        for rule in &self.0 {
            if rule.is_exception == last.is_some() && rule.matches_with_parents(path) {
                last = (!rule.is_exception).then_some(rule);
            }
        }
        last.map(|rule| (rule.line, rule.original.as_str()))
    }
}

/// What the rules say of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Which rules match it, or a directory it is in.
    matched: Vec<bool>,
    /// The rule that ignores it.
    last: Option<usize>,
}

impl Verdict {
    /// Whether it stays behind.
    #[must_use]
    pub fn is_ignored(&self) -> bool {
        self.last.is_some()
    }
}

impl Rule {
    fn parse(line: &str, number: usize) -> Result<Self, Error> {
        let (is_exception, pattern) = match line.strip_prefix('!') {
            Some(pattern) => (true, pattern.trim()),
            None => (false, line),
        };
        if pattern.is_empty() {
            return Err(Error::new(format!(
                "illegal exclusion pattern: {}",
                quote(line)
            )));
        }
        let text = clean(pattern);
        let parts = parts(&text)?;
        Ok(Self {
            line: number,
            original: line.to_owned(),
            prefix: literal(parts.iter()).collect(),
            suffix: literal(parts.iter().rev())
                .collect::<Vec<_>>()
                .iter()
                .rev()
                .collect(),
            parts,
            text,
            is_exception,
        })
    }

    fn matches_with_parents(&self, path: &str) -> bool {
        let parents = path
            .char_indices()
            .filter(|(_, c)| *c == '/')
            .map(|(at, _)| &path[..at]);
        self.matches(path) || parents.into_iter().any(|parent| self.matches(parent))
    }

    fn may_match_below(&self, directory: &str) -> bool {
        let wild = self.text.find(['*', '?', '[', '\\']);
        // Up to the first wild character both must agree.
        let fixed = &self.text[..wild.unwrap_or(self.text.len())];
        let inside = format!("{directory}/");
        if wild.is_some() && inside.starts_with(fixed) {
            return true;
        }
        fixed.starts_with(&inside)
    }

    /// For each part, where in the path it may have come to.
    fn matches(&self, path: &str) -> bool {
        if !path.starts_with(&self.prefix) || !path.ends_with(&self.suffix) {
            return false;
        }
        let path: Vec<char> = path.chars().collect();
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            let mut next = vec![false; path.len() + 1];
            for at in (0..=path.len()).filter(|at| reached[*at]) {
                let here = path.get(at).copied();
                match part {
                    Part::All => next[at..].fill(true),
                    Part::Directories => {
                        next[at] = true;
                        let slashes = (at..path.len()).filter(|i| path[*i] == '/');
                        slashes.for_each(|i| next[i + 1] = true);
                    }
                    Part::Name => {
                        let end = (at..path.len())
                            .find(|i| path[*i] == '/')
                            .unwrap_or(path.len());
                        next[at..=end].fill(true);
                    }
                    Part::One if here.is_some_and(|c| c != '/') => next[at + 1] = true,
                    Part::Char(c) if here == Some(*c) => next[at + 1] = true,
                    Part::Class { is_negated, ranges } => {
                        let is_in = |c| {
                            ranges
                                .iter()
                                .any(|(first, last)| (first..=last).contains(&&c))
                        };
                        if here.is_some_and(|c| is_in(c) != *is_negated) {
                            next[at + 1] = true;
                        }
                    }
                    Part::One | Part::Char(_) => {}
                }
            }
            reached = next;
        }
        reached[path.len()]
    }
}

/// The characters up to the first part that is wild.
fn literal<'a>(parts: impl Iterator<Item = &'a Part>) -> impl Iterator<Item = char> {
    parts.map_while(|part| match part {
        Part::Char(c) => Some(*c),
        _ => None,
    })
}

/// As Go's `filepath.Clean` does, and without a slash before it: `./a//b/../c/` is `a/c`.
fn clean(pattern: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in pattern.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => drop(names.pop()),
            ".." if pattern.starts_with('/') => {}
            name => names.push(name),
        }
    }
    match names.join("/") {
        none if none.is_empty() => if pattern.starts_with('/') { "/" } else { "." }.to_owned(),
        text => text,
    }
}

fn parts(pattern: &str) -> Result<Vec<Part>, Error> {
    let wrong = || Error::new(format!("syntax error in pattern: {}", quote(pattern)));
    let mut parts = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                let has_slash = chars.next_if_eq(&'/').is_some();
                let rest: String = chars.clone().collect();
                // At the beginning, and nothing wild behind it: the end of a name is enough.
                let is_suffix =
                    parts.is_empty() && !has_slash && !rest.contains(['*', '?', '[', '\\']);
                if rest.is_empty() || is_suffix {
                    Part::All
                } else {
                    Part::Directories
                }
            }
            '*' => Part::Name,
            '?' => Part::One,
            '\\' => Part::Char(chars.next().ok_or_else(wrong)?),
            '[' => class(&mut chars).ok_or_else(wrong)?,
            c => Part::Char(c),
        });
    }
    Ok(parts)
}

/// Behind the bracket: `^`, characters and ranges, with escapes, and the closing bracket.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Part> {
    let is_negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let first = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Part::Class { is_negated, ranges }),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        let last = match chars.next_if_eq(&'-') {
            None => first,
            Some(_) => match chars.next()? {
                ']' | '-' => return None,
                '\\' => chars.next()?,
                c => c,
            },
        };
        ranges.push((first, last));
    }
}

#[cfg(test)]
#[path = "ignore_tests.rs"]
mod tests;
