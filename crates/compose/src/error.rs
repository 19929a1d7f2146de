//! What is wrong with a project, and where it is written.

use std::fmt;

use onggi_model::{ErrorKind, Fault};

use crate::node::Place;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; a file alone when it is no part of it in particular, nothing when it is no file's.
    pub place: Option<Place>,
    /// The keys that lead there, from the top of the document.
    pub path: String,
    /// What is wrong there.
    pub message: String,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// Something wrong at a place, under these keys.
    pub fn new(place: &Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: (!place.file.is_empty()).then(|| place.clone()),
            path: path.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// Something wrong that is written nowhere.
    pub fn general(message: impl Into<String>) -> Self {
        Self {
            place: None,
            path: String::new(),
            message: message.into(),
            hint: None,
        }
    }

    /// With what the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Why a project cannot be loaded: everything that was found wrong, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What is wrong; at least one thing.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn culprit(&self) -> Option<String> {
        let problem = self.problems.first()?;
        problem.place.as_ref().map(|place| place.file.to_string())
    }

    fn hint(&self) -> Option<String> {
        self.problems.first()?.hint.clone()
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        vec![problem].into()
    }
}

impl From<Vec<Problem>> for Error {
    fn from(problems: Vec<Problem>) -> Self {
        Self {
            kind: ErrorKind::InvalidParameter,
            problems,
        }
    }
}

impl Error {
    /// Something that is not there.
    pub(crate) fn not_found(problem: Problem) -> Self {
        Self {
            kind: ErrorKind::NotFound,
            problems: vec![problem],
        }
    }
}

/// The word of `known` that `word` was probably meant to be: at most two letters away, and less than half of them.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= 2 && distance * 2 < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters are to be put in, taken out or changed to make one of the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let change = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered() {
        let known = ["image", "build", "ports", "environment"];
        let near = |word| nearest(word, known.iter().copied());
        assert_eq!(near("imgae"), Some("image"));
        assert_eq!(near("enviroment"), Some("environment"));
        assert_eq!(near("port"), Some("ports"));
        assert_eq!(near("frobnicate"), None);
    }

    #[test]
    fn a_problem_says_where_and_what() {
        let place = Place {
            file: "compose.yaml".into(),
            line: 3,
            column: 5,
        };
        let problem = Problem::new(&place, "services.web", "must be a mapping").hint("indent it");
        assert_eq!(
            problem.to_string(),
            "compose.yaml:3:5: services.web: must be a mapping (indent it)"
        );
    }
}
