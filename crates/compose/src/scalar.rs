//! What a plain scalar of YAML is: the core schema of YAML 1.2, with the octal numbers of 1.1 that file modes are
//! written in (`0444`) and the underscores of 1.1 in numbers. `yes`, `on` and `off` are texts, and so is `22:22`: that is
//! how Docker Compose reads them, which makes a truth of `yes` only where one is expected.

use crate::node::Value;

/// What this plain scalar is.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => (),
    }
    number(text).unwrap_or_else(|| Value::from(text))
}

fn number(text: &str) -> Option<Value> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let radix = |digits: &str, radix| {
        let well = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        let sign = if negative { "-" } else { "" };
        well.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok())?
    };
    for (prefix, base) in [
        ("0x", 16),
        ("0X", 16),
        ("0o", 8),
        ("0O", 8),
        ("0b", 2),
        ("0B", 2),
    ] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            return radix(digits, base).map(Value::Int);
        }
    }
    if digits.len() > 1
        && digits.starts_with('0')
        && let Some(number) = radix(digits, 8)
    {
        return Some(Value::Int(number));
    }
    if let Some(number) = radix(digits, 10) {
        return Some(Value::Int(number));
    }
    is_float(digits).then(|| plain.parse().ok().map(Value::Float))?
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    exponent
        && match mantissa.split_once('.') {
            None => !mantissa.is_empty() && digits(mantissa),
            Some((whole, part)) => {
                digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
            }
        }
}

/// Would these letters, unquoted, be something else than this text to some reader of YAML? The encoder quotes them.
pub(crate) fn needs_quotes(text: &str) -> bool {
    !matches!(resolve(text), Value::String(_))
        || old_bool(text)
        || base_60(text)
        || timestamp(text)
        || text == "<<"
        || text == "="
}

/// The booleans of YAML 1.1.
fn old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

/// The sexagesimal numbers of YAML 1.1: `22:22`, `1:30:00.5`.
fn base_60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.contains(':') {
        return false;
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let mut fields = whole.split(':');
    let first = fields
        .next()
        .is_some_and(|f| f.bytes().all(|b| b.is_ascii_digit() || b == b'_'));
    first
        && fields.all(|f| matches!(f.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
        && part.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// `2001-12-14`, and the same with a time.
fn timestamp(text: &str) -> bool {
    let mut fields = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let day = rest.split(['T', 't', ' ']).next().unwrap_or_default();
    year.len() == 4
        && digits(year)
        && (1..=2).contains(&month.len())
        && digits(month)
        && (1..=2).contains(&day.len())
        && digits(day)
        && (rest.len() == day.len() || rest[day.len()..].contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_compose_takes_them_for() {
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("true", Value::Bool(true)),
            ("yes", Value::from("yes")),
            ("on", Value::from("on")),
            ("22:22", Value::from("22:22")),
            ("3000-3005", Value::from("3000-3005")),
            ("0444", Value::Int(0o444)),
            ("0o444", Value::Int(0o444)),
            ("0x1F", Value::Int(31)),
            ("0b11", Value::Int(3)),
            ("1_000", Value::Int(1000)),
            ("-12", Value::Int(-12)),
            ("0.5", Value::Float(0.5)),
            (".5", Value::Float(0.5)),
            ("1e3", Value::Float(1000.0)),
            ("3.8", Value::Float(3.8)),
            ("089", Value::Int(89)),
            ("1.2.3", Value::from("1.2.3")),
            ("-", Value::from("-")),
            (".", Value::from(".")),
            ("1e", Value::from("1e")),
            ("0x", Value::from("0x")),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
    }

    #[test]
    fn what_others_read_otherwise_is_quoted() {
        for text in [
            "8080",
            "true",
            "yes",
            "n",
            "22:22",
            "",
            "null",
            "1.5",
            "2024-01-31",
            "0444",
        ] {
            assert!(needs_quotes(text), "{text}");
        }
        for text in [
            "web",
            "127.0.0.1:80:80",
            "3000-3005",
            "1.2.3",
            "2024-01",
            "yes please",
        ] {
            assert!(!needs_quotes(text), "{text}");
        }
    }
}
