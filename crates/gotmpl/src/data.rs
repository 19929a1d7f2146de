//! Values for templates, with the shape Go would give them.
//!
//! A JSON document does not say whether an object was a struct or a map in Go, nor what a `null` was; both decide how a
//! template prints it and which error a missing field gives. [`Kinds`] answers by the name of the field. The engine's own
//! maps are sorted, so the order of fields is kept beside them, keyed by the address of the (shared, live) map.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gotmpl::Value;

/// What a template can be given for one field of a row.
pub enum Field {
    /// Plain data.
    Json(serde_json::Value),
    /// A method with one text argument, like `.Label "key"`.
    Method(Arc<dyn Fn(&str) -> String + Send + Sync>),
}

/// Tells what the fields of a document were in Go. A field is named by its key and the key of the object it is in; the
/// values of a map have the key `*`, and the document itself is in `""`.
pub trait Kinds {
    /// Whether the object in the field was a map (else it was a struct).
    fn is_map(&self, parent: &str, name: &str) -> bool;
    /// Whether a `null` in the field was a nil pointer (else a nil slice or map).
    fn is_pointer(&self, parent: &str, name: &str) -> bool;
    /// Fields of the struct in the field `name` (`""` for the document) that are left out when they are empty.
    fn optional(&self, name: &str) -> &'static [&'static str];
    /// What an optional field that was left out is in Go; `null` for pointers, slices and maps.
    fn zero(&self, _parent: &str, _name: &str) -> serde_json::Value {
        serde_json::Value::Null
    }
    /// The name in Go of the field with this key, where it is another one.
    fn alias(&self, key: &str) -> Option<&'static str>;
}

/// Kinds for data nothing is known about: every object is a map, every `null` is nil, nothing is optional.
pub struct Plain;

impl Kinds for Plain {
    fn is_map(&self, _: &str, _: &str) -> bool {
        true
    }
    fn is_pointer(&self, _: &str, _: &str) -> bool {
        true
    }
    fn optional(&self, _: &str) -> &'static [&'static str] {
        &[]
    }
    fn alias(&self, _: &str) -> Option<&'static str> {
        None
    }
}

/// What a value was in Go, where the template engine's value does not tell.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Map {
        order: Vec<Arc<str>>,
    },
    Struct {
        order: Vec<Arc<str>>,
        absent: Vec<&'static str>,
    },
    /// A row of a list: errors name its Go type, and its JSON is made ahead.
    Row {
        type_name: &'static str,
        json: String,
    },
    /// A nil slice or map: prints as empty, `null` in JSON.
    NilCollection,
}

/// A document ready for templates.
pub struct Data {
    pub(crate) value: Value,
    pub(crate) shapes: Arc<HashMap<usize, Shape>>,
}

/// The address that names a map or list for as long as it lives.
pub(crate) fn address(value: &Value) -> Option<usize> {
    match value {
        Value::Map(map) => Some(Arc::as_ptr(map) as usize),
        Value::List(list) => Some(Arc::as_ptr(list).cast::<Value>() as usize),
        _ => None,
    }
}

impl Data {
    /// A JSON document, with `kinds` to tell structs from maps.
    pub fn document(json: &serde_json::Value, kinds: &dyn Kinds) -> Self {
        let mut shapes = HashMap::new();
        let value = convert(json, "", "", kinds, &mut shapes);
        Data {
            value,
            shapes: Arc::new(shapes),
        }
    }

    /// A JSON value nothing is known about: objects are maps.
    pub fn plain(json: &serde_json::Value) -> Self {
        Self::document(json, &Plain)
    }

    /// A JSON document whose Go type errors name, as for `version` and `info`.
    pub fn typed(type_name: &'static str, json: &serde_json::Value, kinds: &dyn Kinds) -> Self {
        let mut shapes = HashMap::new();
        let value = convert(json, "", "", kinds, &mut shapes);
        if let Some(key) = address(&value) {
            shapes.insert(
                key,
                Shape::Row {
                    type_name,
                    json: json.to_string(),
                },
            );
        }
        Data {
            value,
            shapes: Arc::new(shapes),
        }
    }

    /// A row of a list command. `type_name` is the Go type that errors name; `json` is what `{{json .}}` prints.
    pub fn row<'a>(
        type_name: &'static str,
        fields: impl IntoIterator<Item = (&'a str, Field)>,
        json: String,
    ) -> Self {
        let mut shapes = HashMap::new();
        let mut map: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        for (name, field) in fields {
            let value = match field {
                Field::Json(json) => convert(&json, "", name, &Plain, &mut shapes),
                Field::Method(method) => {
                    let owner = name.to_owned();
                    Value::Function(Arc::new(move |args: &[Value]| match args {
                        [Value::String(argument)] => Ok(Value::String(method(argument).into())),
                        [_] => Err(gotmpl::TemplateError::Exec(
                            "wrong type for value; expected string".to_owned(),
                        )),
                        _ => Err(gotmpl::TemplateError::Exec(format!(
                            "wrong number of args for {owner}: want 1 got {}",
                            args.len()
                        ))),
                    }))
                }
            };
            map.insert(name.into(), value);
        }
        let value = Value::Map(Arc::new(map));
        if let Some(key) = address(&value) {
            shapes.insert(key, Shape::Row { type_name, json });
        }
        Data {
            value,
            shapes: Arc::new(shapes),
        }
    }
}

fn convert(
    json: &serde_json::Value,
    parent: &str,
    name: &str,
    kinds: &dyn Kinds,
    shapes: &mut HashMap<usize, Shape>,
) -> Value {
    match json {
        serde_json::Value::Null => {
            if kinds.is_pointer(parent, name) {
                return Value::Nil;
            }
            let value = if kinds.is_map(parent, name) {
                Value::Map(Arc::new(BTreeMap::new()))
            } else {
                Value::List(Arc::from(Vec::new()))
            };
            if let Some(key) = address(&value) {
                shapes.insert(key, Shape::NilCollection);
            }
            value
        }
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(number) => {
            if let Some(n) = number.as_i64() {
                Value::Int(n)
            } else if let Some(n) = number.as_u64() {
                Value::Uint(n)
            } else {
                Value::Float(number.as_f64().unwrap_or_default())
            }
        }
        serde_json::Value::String(text) => Value::String(text.as_str().into()),
        serde_json::Value::Array(items) => Value::List(
            items
                .iter()
                .map(|item| convert(item, parent, name, kinds, shapes))
                .collect::<Vec<_>>()
                .into(),
        ),
        serde_json::Value::Object(object) => convert_object(object, parent, name, kinds, shapes),
    }
}

fn convert_object(
    object: &serde_json::Map<String, serde_json::Value>,
    parent: &str,
    name: &str,
    kinds: &dyn Kinds,
    shapes: &mut HashMap<usize, Shape>,
) -> Value {
    let is_map = kinds.is_map(parent, name);
    let mut map: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    let mut order = Vec::with_capacity(object.len());
    for (key, item) in object {
        let key: Arc<str> = key.as_str().into();
        let value = convert(item, name, if is_map { "*" } else { &key }, kinds, shapes);
        if !is_map && let Some(alias) = kinds.alias(&key) {
            // Found by its name in Go, but neither printed nor written twice: it is not in the order.
            map.insert(alias.into(), value.clone());
        }
        map.insert(key.clone(), value);
        order.push(key);
    }
    let mut absent = Vec::new();
    if !is_map {
        for &field in kinds.optional(name) {
            if !map.contains_key(field) {
                absent.push(field);
                let zero = convert(&kinds.zero(name, field), name, field, kinds, shapes);
                map.insert(field.into(), zero);
            }
        }
    }
    let value = Value::Map(Arc::new(map));
    if let Some(key) = address(&value) {
        let shape = if is_map {
            Shape::Map { order }
        } else {
            Shape::Struct { order, absent }
        };
        shapes.insert(key, shape);
    }
    value
}
