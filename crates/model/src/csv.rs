//! One line of comma separated values (RFC 4180), as options on command lines and in Dockerfiles are given.

/// The fields of one line: separated by commas, between double quotes where they contain one, two quotes for one of them.
/// What is no CSV is taken for text.
pub fn csv(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut letters = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = letters.next() {
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::csv;

    #[test]
    fn fields_may_be_quoted() {
        assert_eq!(
            csv(r#"type=bind,"src=/a,b",x"#),
            ["type=bind", "src=/a,b", "x"]
        );
        assert_eq!(
            csv(r#""capabilities=""compute,utility""""#),
            [r#"capabilities="compute,utility""#]
        );
    }
}
