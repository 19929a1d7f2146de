//! Go's `%v` for the values of templates: structs as `{a b}`, maps as `map[k:v]`, nil as `<nil>`.

use std::collections::HashMap;

use gotmpl::Value;

use crate::data::{Shape, address};

/// What a template prints for `value`.
pub(crate) fn print(value: &Value, shapes: &HashMap<usize, Shape>) -> String {
    let mut out = String::new();
    write(value, shapes, &mut out);
    out
}

fn write(value: &Value, shapes: &HashMap<usize, Shape>, out: &mut String) {
    let shape = address(value).and_then(|key| shapes.get(&key));
    match (value, shape) {
        (Value::Map(map), Some(Shape::Struct { order, absent })) => {
            out.push('{');
            let fields = order
                .iter()
                .filter_map(|key| map.get(key))
                .chain(absent.iter().filter_map(|key| map.get(*key)));
            for (index, item) in fields.enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write(item, shapes, out);
            }
            out.push('}');
        }
        (Value::Map(map), _) => {
            out.push_str("map[");
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write(item, shapes, out);
            }
            out.push(']');
        }
        (Value::List(items), _) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write(item, shapes, out);
            }
            out.push(']');
        }
        (Value::Float(n), _) => out.push_str(&float(*n)),
        (other, _) => out.push_str(&other.to_string()),
    }
}

/// `%v` of a float64: shortest digits, with an exponent below 1e-4 and from 1e21 on.
fn float(n: f64) -> String {
    let magnitude = n.abs();
    if n == 0.0 || (1e-4..1e21).contains(&magnitude) || !n.is_finite() {
        return match n {
            n if n.is_nan() => "NaN".to_owned(),
            n if n.is_infinite() => if n > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
            n => n.to_string(),
        };
    }
    let text = format!("{n:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_print_as_in_go() {
        for (n, text) in [
            (1.0, "1"),
            (0.5, "0.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(float(n), text);
        }
    }
}
