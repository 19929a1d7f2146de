//! A document as a tree that remembers where each part was written. Everything between the text of a file and the
//! finished project works on it; what a YAML text means is in `yaml`, what the keys mean is elsewhere.

use std::fmt;
use std::sync::Arc;

/// Where a part of a document was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named to us.
    pub file: Arc<str>,
    /// The line, from 1; 0 for what no file says.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl Place {
    /// The beginning of a file.
    pub fn start(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 1,
            column: 1,
        }
    }

    /// What no file says: defaults.
    pub fn nowhere() -> Self {
        Self {
            file: "".into(),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// What a tag asks of the merge with an earlier file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing: the rules of the specification.
    #[default]
    None,
    /// `!reset`: the earlier value goes, and so does this one.
    Reset,
    /// `!override`: this value stands in the place of the earlier one.
    Override,
}

/// A part of a document.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it was written.
    pub place: Place,
    /// What its tag asked.
    pub mark: Mark,
}

/// What a part of a document is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` and `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    String(String),
    /// Parts in a row.
    List(Vec<Node>),
    /// Parts with names.
    Map(Map),
}

/// Two parts are equal when they say the same, wherever they stand.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.mark == other.mark
    }
}

impl Node {
    /// A part written there.
    pub fn new(value: impl Into<Value>, place: &Place) -> Self {
        Self {
            value: value.into(),
            place: place.clone(),
            mark: Mark::None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self.value {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// `true` or `false`, if it is one of them.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The named parts, if it has some.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The named parts, to change them.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The parts in a row; none for everything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The part of that name.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The part at the end of these names.
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of that name.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The named parts of the part of that name; none where there is no such part.
    pub fn entries<'a>(&'a self, key: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.get(key)
            .and_then(Node::as_map)
            .into_iter()
            .flat_map(Map::iter)
    }

    /// Is it `null`?
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// A scalar as Go prints it with `%v`: how Compose makes texts of numbers and booleans. `None` for lists and maps,
    /// and for `null`.
    pub fn scalar_text(&self) -> Option<String> {
        match &self.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(number) => Some(number.to_string()),
            Value::Float(number) => Some(go_float(*number)),
            Value::String(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Carries out `!reset` and forgets every tag: what a document means when no earlier one is under it.
    pub fn settle(&mut self) {
        self.mark = Mark::None;
        match &mut self.value {
            Value::List(items) => {
                items.retain(|item| item.mark != Mark::Reset);
                items.iter_mut().for_each(Node::settle);
            }
            Value::Map(map) => {
                map.entries.retain(|entry| entry.value.mark != Mark::Reset);
                map.values_mut().for_each(Node::settle);
            }
            _ => (),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<Vec<Node>> for Value {
    fn from(items: Vec<Node>) -> Self {
        Value::List(items)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(map)
    }
}

/// One named part.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Where the name was written.
    pub place: Place,
    /// The part.
    pub value: Node,
}

/// Named parts, in the order they were written.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<Entry>,
}

/// Maps are equal whatever their order.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Map {
    /// One without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many parts it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The part of that name.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The part of that name, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.value)
    }

    /// The part of that name, and where its name stands.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Is there a part of that name?
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Puts a part in: in the place of one of the same name, else at the end.
    pub fn set(&mut self, key: &str, value: Node) {
        match self.get_mut(key) {
            Some(old) => *old = value,
            None => self.push(Entry {
                key: key.to_owned(),
                place: value.place.clone(),
                value,
            }),
        }
    }

    /// Puts a part in unless there is one of that name.
    pub fn set_missing(&mut self, key: &str, value: impl Into<Value>) {
        if !self.has(key) {
            self.set(key, Node::new(value, &Place::nowhere()));
        }
    }

    /// Puts a part at the end; the caller knows that its name is new.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Takes a part out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index).value)
    }

    /// Keeps the parts of which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Node) -> bool) {
        self.entries.retain(|entry| keep(&entry.key, &entry.value));
    }

    /// Names and parts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries
            .iter()
            .map(|entry| (entry.key.as_str(), &entry.value))
    }

    /// Names and parts, the parts to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node)> {
        self.entries
            .iter_mut()
            .map(|entry| (entry.key.as_str(), &mut entry.value))
    }

    /// The parts with the places of their names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The parts, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.entries.iter_mut().map(|entry| &mut entry.value)
    }

    /// The parts alone, in order.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

impl FromIterator<Entry> for Map {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}

/// A number as Go's `%v` prints it: the shortest digits that read back, an exponent below -4 and from 6 on.
pub(crate) fn go_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let shortest = format!("{number:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_texts_as_in_go() {
        for (number, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1e6, "1e+06"),
            (100000.0, "100000"),
            (1234567.5, "1.2345675e+06"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(go_float(number), text);
        }
    }
}
