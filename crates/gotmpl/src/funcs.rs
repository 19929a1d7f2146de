//! Docker's template functions, beside those of Go: json, split, join, title, lower, upper, pad, truncate.

use std::collections::HashMap;
use std::sync::Arc;

use gotmpl::{FuncMap, TemplateError, Value};

use crate::data::Shape;
use crate::json;

/// Which set of functions a template gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Functions {
    /// The functions as such.
    Basic,
    /// The functions as they act on the header of a table: each hands its text through.
    Header,
}

/// Names of Docker's functions and of Go's built-in ones: what a template may call.
pub(crate) const NAMES: &[&str] = &[
    "and", "call", "eq", "ge", "gt", "html", "index", "join", "js", "json", "le", "len", "lower",
    "lt", "ne", "not", "or", "pad", "print", "printf", "println", "slice", "split", "title",
    "truncate", "upper", "urlquery",
];

/// The most spaces that `pad` puts on one side: a template, which may come with a request, fills no memory.
const MAX_PAD: usize = 4096;

type Call = fn(&[Value], &HashMap<usize, Shape>) -> Result<Value, TemplateError>;

const DOCKER: &[(&str, usize, Call)] = &[
    ("json", 1, |args, shapes| {
        let mut out = String::new();
        json::write(&args[0], shapes, &mut out);
        Ok(text(out))
    }),
    ("split", 2, |args, _| {
        let (subject, separator) = (string(&args[0])?, string(&args[1])?);
        let parts: Vec<Value> = if separator.is_empty() {
            subject.chars().map(|c| text(c.to_string())).collect()
        } else {
            subject.split(separator).map(text).collect()
        };
        Ok(Value::List(parts.into()))
    }),
    ("join", 2, |args, _| {
        let Value::List(items) = &args[0] else {
            return Err(wrong_type("[]string", &args[0]));
        };
        let parts = items.iter().map(string).collect::<Result<Vec<_>, _>>()?;
        Ok(text(parts.join(string(&args[1])?)))
    }),
    ("title", 1, |args, _| {
        let mut out = String::new();
        let mut inside = false;
        for c in string(&args[0])?.chars() {
            let letter = c.is_alphanumeric() || c == '_' || c == '\'';
            if letter && !inside {
                out.extend(c.to_uppercase());
            } else {
                out.push(c);
            }
            inside = letter;
        }
        Ok(text(out))
    }),
    ("lower", 1, |args, _| {
        Ok(text(string(&args[0])?.to_lowercase()))
    }),
    ("upper", 1, |args, _| {
        Ok(text(string(&args[0])?.to_uppercase()))
    }),
    ("pad", 3, |args, _| {
        let subject = string(&args[0])?;
        if subject.is_empty() {
            return Ok(text(""));
        }
        let (before, after) = (width(&args[1])?, width(&args[2])?);
        if before.max(after) > MAX_PAD {
            return Err(TemplateError::Exec(format!(
                "pad: more than {MAX_PAD} spaces"
            )));
        }
        Ok(text(format!(
            "{}{subject}{}",
            " ".repeat(before),
            " ".repeat(after)
        )))
    }),
    ("truncate", 2, |args, _| {
        let subject = string(&args[0])?;
        let mut end = width(&args[1])?.min(subject.len());
        while !subject.is_char_boundary(end) {
            end -= 1;
        }
        Ok(text(&subject[..end]))
    }),
];

/// Go's `index`. What a map of texts does not have is the empty text, as the zero value of its type is in Go.
fn index(args: &[Value]) -> Result<Value, TemplateError> {
    let Some((first, keys)) = args.split_first() else {
        return Err(TemplateError::Exec(
            "wrong number of args for index: want at least 1 got 0".to_owned(),
        ));
    };
    let mut value = first.clone();
    for key in keys {
        let found = value.index(key)?;
        let texts = |value: &Value| match value {
            Value::Map(map) => map.values().all(|value| matches!(value, Value::String(_))),
            _ => false,
        };
        value = match found {
            Value::Nil if texts(&value) => text(""),
            found => found,
        };
    }
    Ok(value)
}

/// Docker's functions over data of the given shapes.
pub(crate) fn map(functions: Functions, shapes: &Arc<HashMap<usize, Shape>>) -> FuncMap {
    let mut map = FuncMap::new();
    map.insert("index".to_owned(), Arc::new(index));
    for &(name, arity, call) in DOCKER {
        let shapes = Arc::clone(shapes);
        map.insert(
            name.to_owned(),
            Arc::new(move |args: &[Value]| {
                if args.len() != arity {
                    return Err(TemplateError::Exec(format!(
                        "wrong number of args for {name}: want {arity} got {}",
                        args.len()
                    )));
                }
                match functions {
                    Functions::Basic => call(args, &shapes),
                    Functions::Header => Ok(args[0].clone()),
                }
            }),
        );
    }
    map
}

fn text(text: impl Into<String>) -> Value {
    Value::String(text.into().into())
}

fn string(value: &Value) -> Result<&str, TemplateError> {
    value.as_str().ok_or_else(|| wrong_type("string", value))
}

fn width(value: &Value) -> Result<usize, TemplateError> {
    match value {
        Value::Int(n) => usize::try_from(*n)
            .map_err(|_| TemplateError::Exec("strings: negative Repeat count".to_owned())),
        other => Err(wrong_type("int", other)),
    }
}

fn wrong_type(expected: &str, value: &Value) -> TemplateError {
    TemplateError::Exec(format!(
        "wrong type for value; expected {expected}; got {}",
        value.type_name()
    ))
}
