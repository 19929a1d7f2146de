//! "Did you mean ...?" for words that are nearly right.

/// Words further away than this many changes are no typing errors.
const NEAR: usize = 3;

/// `message`, with the word of `known` that `word` is nearly, if there is one. Case counts.
pub(crate) fn with<'a>(
    message: String,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(word, known) {
        Some(near) => format!("{message} (did you mean {near}?)"),
        None => message,
    }
}

/// The nearest, unless `word` is one of them; of several one that begins as `word` does.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = |candidate: &str| {
        let begins_so = candidate.chars().next() == word.chars().next();
        (distance(word, candidate), !begins_so)
    };
    let nearest = known.into_iter().min_by_key(|candidate| far(candidate))?;
    (1..NEAR)
        .contains(&distance(word, nearest))
        .then_some(nearest)
}

/// How many letters have to be put in, taken out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let known = ["from", "chown", "chmod"];
        for (word, expected) in [
            ("form", Some("from")),
            ("chmd", Some("chmod")),
            ("chown", None),
            ("exclude", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(
            with("unknown flag: --form".to_owned(), "form", known),
            "unknown flag: --form (did you mean from?)"
        );
    }
}
