//! How the text behind a keyword is cut into arguments. Quotes and escapes stay in them: they go when variables come in.

use crate::{Error, Escape, Form};

/// What parts the words of one argument list: Docker's parser does not count line ends and the spaces of Unicode.
const SPACES: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// The way an instruction has its arguments cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// At white space.
    Spaces,
    /// A JSON array of strings, or at white space.
    SpacesOrJson,
    /// A JSON array of strings, or the whole text as one.
    TextOrJson,
    /// The whole text as one.
    Text,
    /// At white space that is neither quoted nor escaped.
    Quoted,
    /// `name=value ...` or `name value`: name, value and what stood between them, `=` or nothing, for each.
    Pairs,
    /// A word, and behind it a JSON array of strings or a text.
    Health,
    /// A statement of its own.
    Statement,
}

/// The text before the first white space, and the text behind it.
pub(crate) fn split_once(text: &str) -> (&str, Option<&str>) {
    match text.find(SPACES) {
        None => (text, None),
        Some(at) => (&text[..at], Some(text[at..].trim_start_matches(SPACES))),
    }
}

/// Arguments, and whether they were JSON. `keyword` is for errors.
pub(crate) fn cut(
    cut: Cut,
    keyword: &str,
    text: &str,
    escape: Escape,
) -> Result<(Vec<String>, Form), Error> {
    if text.is_empty() {
        return Ok((Vec::new(), Form::Shell));
    }
    let shell = |arguments| Ok((arguments, Form::Shell));
    match cut {
        Cut::Spaces => shell(at_spaces(text)),
        Cut::Text => shell(vec![text.to_owned()]),
        Cut::Quoted => shell(quoted(text, escape)),
        Cut::Pairs => shell(pairs(keyword, text, escape)?),
        Cut::SpacesOrJson => match json(text)? {
            Some(arguments) => Ok((arguments, Form::Exec)),
            None => shell(at_spaces(text)),
        },
        Cut::TextOrJson => match json(text)? {
            Some(arguments) => Ok((arguments, Form::Exec)),
            None => shell(vec![text.to_owned()]),
        },
        Cut::Health => {
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            let (kind, rest) = text.split_at(end);
            let (mut arguments, form) =
                self::cut(Cut::TextOrJson, keyword, rest.trim_start(), escape)?;
            arguments.insert(0, kind.to_owned());
            Ok((arguments, form))
        }
        // Whoever reads statements cuts them.
        Cut::Statement => shell(Vec::new()),
    }
}

fn at_spaces(text: &str) -> Vec<String> {
    text.split(SPACES)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A JSON array of strings; `None` if it is no JSON array.
fn json(text: &str) -> Result<Option<Vec<String>>, Error> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Ok(None);
    };
    let strings = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(Error::new(
            "when using JSON array syntax, arrays must be comprised of strings only",
        )),
    });
    strings.collect::<Result<_, _>>().map(Some)
}

/// Words as they are written.
fn quoted(text: &str, escape: Escape) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return words;
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(&c) = chars.peek() {
            if quote.is_none() && c.is_whitespace() {
                break;
            }
            chars.next();
            // Between single quotes nothing escapes; one at the very end escapes nothing and goes.
            if c == escape.char() && quote != Some('\'') {
                if let Some(escaped) = chars.next() {
                    word.extend([c, escaped]);
                }
                continue;
            }
            match quote {
                None if c == '\'' || c == '"' => quote = Some(c),
                Some(open) if open == c => quote = None,
                _ => {}
            }
            word.push(c);
        }
        if !word.is_empty() {
            words.push(word);
        }
    }
}

fn pairs(keyword: &str, text: &str, escape: Escape) -> Result<Vec<String>, Error> {
    let words = quoted(text, escape);
    let Some(first) = words.first() else {
        return Ok(Vec::new());
    };
    if !first.contains('=') {
        let (name, Some(value)) = split_once(text) else {
            return Err(Error::new(format!("{keyword} must have two arguments")));
        };
        return Ok(vec![name.to_owned(), value.to_owned(), String::new()]);
    }
    let mut arguments = Vec::with_capacity(words.len() * 3);
    for word in &words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(Error::new(format!(
                "Syntax error - can't find = in {}. Must be of the form: name=value",
                onggi_model::quote(word)
            )));
        };
        arguments.extend([name.to_owned(), value.to_owned(), "=".to_owned()]);
    }
    Ok(arguments)
}

/// The `--name=value` words before the arguments, without their quotes, and the arguments. `--` ends them.
pub(crate) fn flags(text: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (flag, behind) = flag(rest);
        if flag == "--" {
            return (flags, behind);
        }
        flags.push(flag);
        rest = behind.trim_start();
    }
    (flags, rest)
}

/// The first word of `text`, and what is behind it.
fn flag(text: &str) -> (String, &str) {
    let mut flag = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (flag, &text[at..]),
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ if c == '\\' => flag.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => flag.push(c),
        }
    }
    (flag, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_by(way: Cut, text: &str) -> Result<(Vec<String>, Form), Error> {
        cut(way, "ENV", text, Escape::Backslash)
    }

    #[test]
    fn arguments() {
        use Form::{Exec, Shell};
        for (way, text, expected, form) in [
            (Cut::Spaces, "a  b\tc", vec!["a", "b", "c"], Shell),
            (Cut::Spaces, "\"a b\"", vec!["\"a", "b\""], Shell),
            (
                Cut::SpacesOrJson,
                "[\"a b\", \"c\"]",
                vec!["a b", "c"],
                Exec,
            ),
            (Cut::SpacesOrJson, "[a, b]", vec!["[a,", "b]"], Shell),
            (Cut::TextOrJson, "[\"a\"] && b", vec!["[\"a\"] && b"], Shell),
            (Cut::TextOrJson, "echo  a", vec!["echo  a"], Shell),
            (Cut::TextOrJson, "[]", vec![], Exec),
            (Cut::TextOrJson, "[\"\\u00e9\"]", vec!["é"], Exec),
            (Cut::Text, "a b", vec!["a b"], Shell),
            (
                Cut::Quoted,
                "a=1 b=\"x y\" c='\\' d=e\\ f",
                vec!["a=1", "b=\"x y\"", "c='\\'", "d=e\\ f"],
                Shell,
            ),
            (Cut::Quoted, "a=\"\" ''", vec!["a=\"\"", "''"], Shell),
            (Cut::Quoted, "a\\", vec!["a"], Shell),
            (
                Cut::Pairs,
                "a=1 b='2 3'",
                vec!["a", "1", "=", "b", "'2 3'", "="],
                Shell,
            ),
            (Cut::Pairs, "a b c=d", vec!["a", "b c=d", ""], Shell),
            (Cut::Pairs, "a=", vec!["a", "", "="], Shell),
            (Cut::Health, "CMD curl x", vec!["CMD", "curl x"], Shell),
            (Cut::Health, "CMD [\"a\"]", vec!["CMD", "a"], Exec),
            (Cut::Health, "NONE", vec!["NONE"], Shell),
        ] {
            let (arguments, found) = cut_by(way, text).unwrap();
            assert_eq!(
                (arguments, found),
                (expected.iter().map(|s| (*s).to_owned()).collect(), form),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_cut() {
        for (way, text, expected) in [
            (Cut::Pairs, "a", "ENV must have two arguments"),
            (
                Cut::Pairs,
                "a=1 b",
                "Syntax error - can't find = in \"b\". Must be of the form: name=value",
            ),
            (
                Cut::TextOrJson,
                "[\"a\", 1]",
                "when using JSON array syntax, arrays must be comprised of strings only",
            ),
        ] {
            assert_eq!(cut_by(way, text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn flags_come_first() {
        for (text, expected, rest) in [
            ("--from=a b c", vec!["--from=a"], "b c"),
            ("--a --b='x y'  c --d", vec!["--a", "--b=x y"], "c --d"),
            ("--a=\"q\\\"r\" c", vec!["--a=q\"r"], "c"),
            ("-- --a b", vec![], " --a b"),
            ("-a b", vec![], "-a b"),
            ("--only", vec!["--only"], ""),
        ] {
            assert_eq!(
                flags(text),
                (expected.iter().map(|s| (*s).to_owned()).collect(), rest),
                "{text}"
            );
        }
    }
}
