//! The `WWW-Authenticate` header (RFC 9110, 11.6.1): what a registry wants before it answers.

use std::collections::BTreeMap;

/// One way to authenticate that the registry offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// `bearer`, `basic`: in lower case.
    pub(crate) scheme: String,
    /// `realm`, `service`, `error`..: keys in lower case.
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Challenge {
    pub(crate) fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters
            .get(key)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }
}

/// All challenges of one header line. What cannot be read ends the list: what came before still counts.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = header;
    let mut found: Vec<Challenge> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((word, after)) = token(rest) else {
            return found;
        };
        let spaced = after.trim_start();
        // `key=value` belongs to the challenge before; a word without `=` opens a new one.
        match (spaced.strip_prefix('='), found.last_mut()) {
            (Some(value), Some(challenge)) => {
                let Some((value, after)) = parameter_value(value.trim_start()) else {
                    return found;
                };
                challenge
                    .parameters
                    .insert(word.to_ascii_lowercase(), value);
                rest = after;
            }
            (Some(_), None) => return found,
            (None, _) => {
                found.push(Challenge {
                    scheme: word.to_ascii_lowercase(),
                    parameters: BTreeMap::new(),
                });
                rest = after;
            }
        }
    }
}

fn token(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((value, &quoted[at + 1..])),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_with_scope_that_holds_commas() {
        let found = parse(
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].scheme, "bearer");
        assert_eq!(
            found[0].parameter("realm"),
            Some("https://auth.example/token")
        );
        assert_eq!(
            found[0].parameter("scope"),
            Some("repository:a/b:pull,push")
        );
    }

    #[test]
    fn several_challenges_in_one_line() {
        let found =
            parse(r#"Basic realm="a \"b\"", BEARER Realm=https://x/y , error=invalid_token"#);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].parameter("realm"), Some(r#"a "b""#));
        assert_eq!(found[1].parameter("realm"), Some("https://x/y"));
        assert_eq!(found[1].parameter("error"), Some("invalid_token"));
    }

    #[test]
    fn nonsense_ends_the_list() {
        assert!(parse("").is_empty());
        assert!(parse("=x").is_empty());
        assert_eq!(parse(r#"Bearer realm="open"#).len(), 1);
        assert!(parse(r#"Bearer realm="open"#)[0].parameters.is_empty());
        assert_eq!(parse("Negotiate").len(), 1);
    }
}
