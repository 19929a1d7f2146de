//! Commands written as one text, cut into words as a shell does: quotes and backslashes, nothing else. A semicolon or a
//! pipe is a letter like any other, since no shell runs.

use crate::node::{Node, Value};

/// `command: "run 'this thing'"`
pub(super) fn command(node: &mut Node) -> Result<(), String> {
    let Some(text) = node.as_str() else {
        return Ok(());
    };
    let words = split(text).ok_or_else(|| format!("invalid command line string: {text}"))?;
    let word = |word: String| Node::new(word, &node.place);
    node.value = Value::List(words.into_iter().map(word).collect());
    Ok(())
}

/// `test: "curl -f localhost"`: for the container's shell.
pub(super) fn test(node: &mut Node) -> Result<(), String> {
    if let Some(text) = node.as_str() {
        let words = ["CMD-SHELL", text].map(|word| Node::new(word, &node.place));
        node.value = Value::List(words.into());
    }
    Ok(())
}

/// The words of a line; `None` when a quote stays open.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().push(letters.next()?),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn lines_are_cut_as_a_shell_does() {
        for (line, words) in [
            ("", &[][..]),
            ("a  b", &["a", "b"]),
            ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
            ("a\\ b", &["a b"]),
            ("a ''", &["a", ""]),
            ("'a\\n'", &["a\\n"]),
            ("\"a\\\"b\"", &["a\"b"]),
            ("x'y'z", &["xyz"]),
            (
                "sh -c \"echo $$HOME; ls\"",
                &["sh", "-c", "echo $$HOME; ls"],
            ),
            ("a\nb", &["a", "b"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert_eq!(split("a 'b"), None);
    }
}
