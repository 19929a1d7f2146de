//! `$VARIABLE` and `${VARIABLE…}` in texts: the forms of the Compose Specification, nested as deep as one likes.

/// How deep variables may stand within variables.
const DEPTH: usize = 64;

/// Why a text with variables means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A dollar with nothing sensible behind it.
    #[error("invalid interpolation format \"{0}\"; you may need to escape any $ with another $")]
    Invalid(String),
    /// Variables within variables without end.
    #[error("variables nested more than {DEPTH} deep")]
    Deep,
    /// `${A:?why}` without an `A`.
    #[error("required variable {name} is missing a value{}", match .why.as_str() {
        "" => String::new(),
        why => format!(": {why}"),
    })]
    Required {
        /// The variable.
        name: String,
        /// What the file says of it.
        why: String,
    },
}

/// Where variables get their values. It is told of each look, so that it can say who asked for what.
pub trait Lookup {
    /// The value of a variable; `default` is what the text says instead of it.
    fn value(&mut self, name: &str, default: Option<&str>) -> Option<String>;
    /// A variable without a value, and without a default, became an empty text.
    fn blank(&mut self, name: &str);
}

/// What stands behind the name of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    /// `-`: instead of what is not there.
    Default,
    /// `?`: what must be there.
    Required,
    /// `+`: instead of what is there.
    Alternate,
}

/// One variable of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Must it have a value?
    pub required: bool,
    /// What stands for it when it has none.
    pub default: Option<String>,
    /// What stands for it when it has one.
    pub alternate: Option<String>,
}

enum Piece<'a> {
    Text(&'a str),
    Dollar,
    Named(&'a str),
    Braced {
        name: &'a str,
        /// The operator, whether empty counts as absent (`:`), and the word behind it.
        rest: Option<(Operator, bool, &'a str)>,
    },
}

/// The text with its variables replaced.
///
/// # Errors
/// [`TemplateError`].
pub fn substitute(text: &str, lookup: &mut dyn Lookup) -> Result<String, TemplateError> {
    substitute_within(text, lookup, 0)
}

fn substitute_within(
    text: &str,
    lookup: &mut dyn Lookup,
    depth: usize,
) -> Result<String, TemplateError> {
    if depth > DEPTH {
        return Err(TemplateError::Deep);
    }
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Dollar => out.push('$'),
            Piece::Named(name) | Piece::Braced { name, rest: None } => {
                match lookup.value(name, None) {
                    Some(value) => out.push_str(&value),
                    None => lookup.blank(name),
                }
            }
            Piece::Braced {
                name,
                rest: Some((operator, or_empty, word)),
            } => {
                let default = (operator == Operator::Default).then_some(word);
                let value = lookup.value(name, default);
                let there = value.filter(|value| !(or_empty && value.is_empty()));
                match (operator, there) {
                    (Operator::Default | Operator::Required, Some(value)) => out.push_str(&value),
                    (Operator::Default, None) | (Operator::Alternate, Some(_)) => {
                        out.push_str(&substitute_within(word, lookup, depth + 1)?);
                    }
                    (Operator::Alternate, None) => (),
                    (Operator::Required, None) => {
                        let why = substitute_within(word, lookup, depth + 1)?;
                        let name = name.to_owned();
                        return Err(TemplateError::Required { name, why });
                    }
                }
            }
        }
    }
    Ok(out)
}

/// The variables of a text, those within others among them.
///
/// # Errors
/// [`TemplateError::Invalid`], [`TemplateError::Deep`].
pub fn variables(text: &str) -> Result<Vec<Variable>, TemplateError> {
    variables_within(text, 0)
}

fn variables_within(text: &str, depth: usize) -> Result<Vec<Variable>, TemplateError> {
    if depth > DEPTH {
        return Err(TemplateError::Deep);
    }
    let mut found = Vec::new();
    for piece in pieces(text)? {
        let (name, rest) = match piece {
            Piece::Text(_) | Piece::Dollar => continue,
            Piece::Named(name) => (name, None),
            Piece::Braced { name, rest } => (name, rest),
        };
        let word = |wanted| {
            rest.filter(|(operator, ..)| *operator == wanted)
                .map(|(_, _, word)| word.to_owned())
        };
        found.push(Variable {
            name: name.to_owned(),
            required: word(Operator::Required).is_some(),
            default: word(Operator::Default),
            alternate: word(Operator::Alternate),
        });
        if let Some((_, _, word)) = rest {
            found.extend(variables_within(word, depth + 1)?);
        }
    }
    Ok(found)
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let invalid = || TemplateError::Invalid(text.to_owned());
    let mut pieces = Vec::new();
    let mut left = text;
    while let Some(dollar) = left.find('$') {
        if dollar > 0 {
            pieces.push(Piece::Text(&left[..dollar]));
        }
        left = &left[dollar + 1..];
        if let Some(rest) = left.strip_prefix('$') {
            pieces.push(Piece::Dollar);
            left = rest;
        } else if let Some(inside) = left.strip_prefix('{') {
            let end = closing(inside).ok_or_else(invalid)?;
            pieces.push(braced(&inside[..end]).ok_or_else(invalid)?);
            left = &inside[end + 1..];
        } else {
            let end = name_length(left);
            if end == 0 {
                return Err(invalid());
            }
            pieces.push(Piece::Named(&left[..end]));
            left = &left[end..];
        }
    }
    if !left.is_empty() {
        pieces.push(Piece::Text(left));
    }
    Ok(pieces)
}

/// Where the brace closes that was opened before this text: only `${` opens another one.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (index, c) in text.char_indices() {
        match c {
            '{' if text[..index].ends_with('$') => open += 1,
            '}' => {
                open -= 1;
                if open == 0 {
                    return Some(index);
                }
            }
            _ => (),
        }
    }
    None
}

fn braced(inside: &str) -> Option<Piece<'_>> {
    let (name, rest) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return None;
    }
    if rest.is_empty() {
        return Some(Piece::Braced { name, rest: None });
    }
    let (or_empty, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let operator = match rest.chars().next()? {
        '-' => Operator::Default,
        '?' => Operator::Required,
        '+' => Operator::Alternate,
        _ => return None,
    };
    let rest = Some((operator, or_empty, &rest[1..]));
    Some(Piece::Braced { name, rest })
}

/// How long the name is that the text begins with; 0 when it begins with none.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Values(Vec<String>);

    impl Lookup for Values {
        fn value(&mut self, name: &str, _: Option<&str>) -> Option<String> {
            match name {
                "A" => Some("a".to_owned()),
                "EMPTY" => Some(String::new()),
                _ => None,
            }
        }
        fn blank(&mut self, name: &str) {
            self.0.push(name.to_owned());
        }
    }

    #[test]
    fn every_form_means_what_the_specification_says() {
        for (text, result) in [
            ("plain", "plain"),
            ("$A", "a"),
            ("${A}b", "ab"),
            ("$A_B", ""),
            ("$A-b", "a-b"),
            ("$$A", "$A"),
            ("$${A}", "${A}"),
            ("${X:-d}", "d"),
            ("${X-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${A:-d}", "a"),
            ("${A:+r}", "r"),
            ("${EMPTY:+r}", ""),
            ("${EMPTY+r}", "r"),
            ("${X+r}", ""),
            ("${A:?no}", "a"),
            ("${EMPTY?no}", ""),
            ("${X:-${Y:-z}}", "z"),
            ("${X:-$A}${A}", "aa"),
            ("${X:-a:b?c-d}", "a:b?c-d"),
            ("${X:-{\"k\":1}}", "{\"k\":1}"),
            ("${A:-${X:?lazy}}", "a"),
            ("${X:-}", ""),
            ("é$A", "éa"),
        ] {
            let mut values = Values::default();
            assert_eq!(
                substitute(text, &mut values).as_deref(),
                Ok(result),
                "{text}"
            );
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in [
            "$", "a$ b", "${", "${}", "${A", "${1}", "$1", "${A!x}", "${A:}", "$(x)", "${ A}",
        ] {
            let error = substitute(text, &mut Values::default()).unwrap_err();
            assert_eq!(error, TemplateError::Invalid(text.to_owned()));
        }
        let error = substitute("${X:?set $A}", &mut Values::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "required variable X is missing a value: set a"
        );
        let error = substitute("${EMPTY:?}", &mut Values::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "required variable EMPTY is missing a value"
        );
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels: usize| "${X:-".repeat(levels) + &"}".repeat(levels);
        assert_eq!(
            substitute(&deep(60), &mut Values::default()).as_deref(),
            Ok("")
        );
        let error = substitute(&deep(5000), &mut Values::default()).unwrap_err();
        assert_eq!(error, TemplateError::Deep);
        assert_eq!(variables(&deep(5000)).unwrap_err(), TemplateError::Deep);
    }

    #[test]
    fn blanks_are_told() {
        let mut values = Values::default();
        assert_eq!(substitute("$X${Y-}${Z}", &mut values).as_deref(), Ok(""));
        assert_eq!(values.0, ["X", "Z"]);
    }

    #[test]
    fn variables_are_listed() {
        let list = variables("$A ${B:-x$C} ${D:?e} ${E:+f}").unwrap();
        let names: Vec<_> = list.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(names, ["A", "B", "C", "D", "E"]);
        assert_eq!(list[1].default.as_deref(), Some("x$C"));
        assert!(list[3].required);
        assert_eq!(list[4].alternate.as_deref(), Some("f"));
    }
}
