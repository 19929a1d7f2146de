//! Strings between double quotes as Go writes them (`strconv.Quote`), for texts that people and programs compare.

/// `text` in quotes; what cannot be seen is escaped.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            ' ' => out.push(c),
            c if c.is_ascii_control() => out += &format!("\\x{:02x}", u32::from(c)),
            c if c.is_control() || c.is_whitespace() => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn as_go_does() {
        for (text, expected) in [
            ("a \"b\" \\", r#""a \"b\" \\""#),
            ("tab\tline\n", r#""tab\tline\n""#),
            ("\u{1}\u{85}옹기", "\"\\x01\\u0085옹기\""),
        ] {
            assert_eq!(quote(text), expected);
        }
    }
}
