//! Go's JSON writing: compact with the document's own order, HTML escapes on demand, and indentation.

use std::collections::HashMap;
use std::sync::Arc;

use gotmpl::Value;

use crate::data::{Shape, address};

/// Writes `value` as Go's encoder does with HTML escaping off.
pub(crate) fn write(value: &Value, shapes: &HashMap<usize, Shape>, out: &mut String) {
    let shape = address(value).and_then(|key| shapes.get(&key));
    match (value, shape) {
        (_, Some(Shape::NilCollection)) => out.push_str("null"),
        (_, Some(Shape::Row { json, .. })) => out.push_str(json),
        (Value::Map(map), Some(Shape::Map { order } | Shape::Struct { order, .. })) => {
            object(
                order.iter().filter_map(|key| Some((key, map.get(key)?))),
                shapes,
                out,
            );
        }
        (Value::Map(map), None) => object(map.iter(), shapes, out),
        (Value::List(items), _) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, shapes, out);
            }
            out.push(']');
        }
        (Value::Nil | Value::Function(_), _) => out.push_str("null"),
        (Value::Bool(b), _) => out.push_str(if *b { "true" } else { "false" }),
        (Value::Int(n), _) => out.push_str(&n.to_string()),
        (Value::Uint(n), _) => out.push_str(&n.to_string()),
        (Value::Float(n), _) => out.push_str(&serde_json::Value::from(*n).to_string()),
        (Value::String(text), _) => string(text, out),
    }
}

fn object<'a>(
    entries: impl Iterator<Item = (&'a Arc<str>, &'a Value)>,
    shapes: &HashMap<usize, Shape>,
    out: &mut String,
) {
    out.push('{');
    for (index, (key, item)) in entries.enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(key, out);
        out.push(':');
        write(item, shapes, out);
    }
    out.push('}');
}

/// A JSON string as Go writes it: like everyone's, but with U+2028 and U+2029 escaped.
fn string(text: &str, out: &mut String) {
    let quoted = serde_json::Value::from(text).to_string();
    if quoted.contains(['\u{2028}', '\u{2029}']) {
        out.push_str(
            &quoted
                .replace('\u{2028}', "\\u2028")
                .replace('\u{2029}', "\\u2029"),
        );
    } else {
        out.push_str(&quoted);
    }
}

/// Escapes what Go's encoder escapes for the sake of HTML. `json` is a JSON text; these characters occur in strings only.
pub fn escape_html(json: &str) -> String {
    json.replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
}

/// A JSON value indented by `indent` for each level, as Go's `json.MarshalIndent` with an empty prefix.
pub fn write_pretty(value: &serde_json::Value, indent: &str) -> String {
    let mut out = String::new();
    pretty(value, indent, 0, &mut out);
    out
}

fn pretty(value: &serde_json::Value, indent: &str, depth: usize, out: &mut String) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        for _ in 0..depth {
            out.push_str(indent);
        }
    };
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                pretty(item, indent, depth + 1, out);
            }
            line(out, depth);
            out.push(']');
        }
        serde_json::Value::Object(entries) if !entries.is_empty() => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                string(key, out);
                out.push_str(": ");
                pretty(item, indent, depth + 1, out);
            }
            line(out, depth);
            out.push('}');
        }
        serde_json::Value::String(text) => string(text, out),
        other => out.push_str(&other.to_string()),
    }
}
