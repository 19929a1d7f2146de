//! The project as YAML: quotes, blocks and indentation as the encoder of Docker Compose writes them.

use super::shape::{Format, shape, sorted};
use crate::node::{Node, Value, go_float};
use crate::options::Step;
use crate::project::Project;
use crate::scalar::needs_quotes;

/// The project as YAML. Dollars of values are doubled, so that what is printed reads back as it is; without interpolation
/// they are still what the file says.
pub fn yaml(project: &Project, interpolation: Step) -> String {
    let mut out = String::new();
    let node = match interpolation {
        Step::Done => shape(&project.document, Format::Yaml),
        Step::Skipped => sorted(&project.document, Format::Yaml),
    };
    block(&node, 0, &mut out);
    out
}

fn block(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        Value::Map(map) => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    pad(indent, out);
                }
                out.push_str(&plain_or_quoted(key));
                out.push(':');
                below(value, indent, out);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    pad(indent, out);
                }
                out.push('-');
                out.push(' ');
                match &item.value {
                    Value::Map(map) if !map.is_empty() => block(item, indent + 2, out),
                    Value::List(items) if !items.is_empty() => block(item, indent + 2, out),
                    _ => {
                        out.pop();
                        below(item, indent, out);
                    }
                }
            }
        }
        _ => below(node, indent, out),
    }
}

/// What stands behind a colon or a dash.
fn below(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        Value::Map(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Map(_) | Value::List(_) => {
            out.push('\n');
            block(node, indent + 2, out);
        }
        Value::String(text) if literal(text) => {
            out.push(' ');
            literal_block(text, indent + 2, out);
        }
        value => {
            out.push(' ');
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => ".nan".to_owned(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
        }
        Value::Float(number) => go_float(*number),
        Value::String(text) => plain_or_quoted(text),
        Value::Null | Value::List(_) | Value::Map(_) => "null".to_owned(),
    }
}

/// Lines of text stand in a block, unless a block cannot hold them.
fn literal(text: &str) -> bool {
    let special = |c: char| c != '\n' && c != '\t' && (c.is_control() || c == '\u{feff}');
    text.contains('\n') && !text.contains(special) && !text.ends_with(' ')
}

fn literal_block(text: &str, indent: usize, out: &mut String) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let body = text.trim_end_matches('\n');
    match text.len() - body.len() {
        0 => out.push('-'),
        1 if !body.is_empty() => (),
        _ => out.push('+'),
    }
    out.push('\n');
    let lines = text.strip_suffix('\n').unwrap_or(text);
    for line in lines.split('\n') {
        if !line.is_empty() {
            pad(indent, out);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// A text on one line: plain where it reads back as itself, in double quotes where it would be something else, in single
/// ones where only letters are in the way.
fn plain_or_quoted(text: &str) -> String {
    let special =
        |c: char| c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{85}');
    if needs_quotes(text) || text.contains(special) {
        return double_quoted(text);
    }
    match plain(text) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// May it stand without quotes, as far as its letters go?
fn plain(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let (Some(first), Some(last)) = (letters.first(), letters.last()) else {
        return false;
    };
    if *first == ' ' || *last == ' ' || text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    let space_after = |index: usize| letters.get(index + 1).is_none_or(|c| *c == ' ');
    let first_bad = match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => true,
        '-' | '?' | ':' => space_after(0),
        _ => false,
    };
    let inner_bad = letters
        .iter()
        .enumerate()
        .skip(1)
        .any(|(index, c)| match c {
            ':' => space_after(index),
            '#' => letters[index - 1] == ' ',
            _ => false,
        });
    !first_bad && !inner_bad
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            '\u{feff}' => out.push_str("\\uFEFF"),
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn printed(text: &str) -> String {
        let mut out = String::new();
        block(&parse(text, "f").unwrap()[0], 0, &mut out);
        out
    }

    #[test]
    fn texts_are_quoted_where_go_quotes_them() {
        for (text, yaml) in [
            ("plain", "plain"),
            ("8080", "\"8080\""),
            ("yes", "\"yes\""),
            ("", "\"\""),
            ("a: b", "'a: b'"),
            ("a:b", "a:b"),
            ("#x", "'#x'"),
            ("a #b", "'a #b'"),
            ("a#b", "a#b"),
            ("it's", "it's"),
            ("'x'", "'''x'''"),
            ("*", "'*'"),
            ("-", "'-'"),
            ("-x", "-x"),
            ("--flag", "--flag"),
            (" x", "' x'"),
            ("[a]", "'[a]'"),
            ("{{.X}}", "'{{.X}}'"),
            ("a\tb", "\"a\\tb\""),
            ("22:22", "\"22:22\""),
            ("0.0.0.0", "0.0.0.0"),
            ("@x", "'@x'"),
            ("한글", "한글"),
        ] {
            assert_eq!(plain_or_quoted(text), yaml, "{text}");
        }
    }

    #[test]
    fn blocks_look_as_compose_prints_them() {
        let text = "a:\n  b: 1\n  c: [x, {d: 1, e: [2, 3]}, [4]]\n  f: {}\n  g: []\n  h: null\n  i: |\n    one\n\n    two\n  j: \"x\\ny\"\n";
        let yaml = "a:\n  b: 1\n  c:\n    - x\n    - d: 1\n      e:\n        - 2\n        - 3\n    - - 4\n  f: {}\n  g: []\n  h: null\n  i: |\n    one\n\n    two\n  j: |-\n    x\n    y\n";
        assert_eq!(printed(text), yaml);
        assert_eq!(printed(yaml), yaml);
    }

    #[test]
    fn what_is_printed_reads_back() {
        for text in [
            "x\n\n", "\nx", " x\ny", "x \ny ", "\n", "a\n  b\n", "x\n\n\ny",
        ] {
            let node = Node::new(text, &crate::node::Place::nowhere());
            let mut map = crate::node::Map::new();
            map.set("k", node.clone());
            let mut out = String::new();
            block(&Node::new(map, &node.place), 0, &mut out);
            let read = parse(&out, "f").unwrap();
            assert_eq!(read[0].text("k"), Some(text), "{out:?}");
        }
    }
}
