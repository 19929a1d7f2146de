//! The text of a file to trees: anchors, aliases, merge keys, tags and places; duplicate keys are errors. A text may hold
//! several documents, which Compose takes as files in a row; empty ones are left out.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::error::Problem;
use crate::node::{Entry, Map, Mark, Node, Place, Value};
use crate::scalar;

/// How deep a document may be. Compose's own keys go to twelve; the rest is room for `x-` extensions.
const DEPTH: usize = 64;

/// How many parts aliases may blow a document up to.
const PARTS: usize = 1_000_000;

/// The documents of a text; `file` is what the places name.
///
/// # Errors
/// What is no YAML, a key twice, an alias of nothing or of itself, a tag without meaning here.
pub(crate) fn parse(text: &str, file: &str) -> Result<Vec<Node>, Problem> {
    let mut reader = Reader {
        events: Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)),
        file: file.into(),
        anchors: HashMap::new(),
        parts: 0,
    };
    let mut documents = Vec::new();
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::DocumentStart(_) => {
                reader.anchors.clear();
                let (event, span) = reader.next()?;
                let document = reader.node(event, span, 0)?;
                if !document.is_null() {
                    documents.push(document);
                }
            }
            Event::StreamStart | Event::DocumentEnd | Event::Nothing => (),
            _ => return Err(reader.problem(&span.start, "a document was expected here")),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    file: Arc<str>,
    /// What each anchor names, and of how many parts it is; nothing while it is still being read.
    anchors: HashMap<usize, Option<(Node, usize)>>,
    parts: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.problem(error.marker(), error.info())),
            None => {
                let end = Marker::new(0, 1, 0);
                Err(self.problem(&end, "the file ends too early"))
            }
        }
    }

    fn place(&self, marker: &Marker) -> Place {
        Place {
            file: self.file.clone(),
            line: marker.line().max(1) as u32,
            column: marker.col() as u32 + 1,
        }
    }

    fn problem(&self, marker: &Marker, message: impl Into<String>) -> Problem {
        Problem::new(&self.place(marker), "", message)
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        self.parts += 1;
        if depth > DEPTH {
            return Err(self.problem(&span.start, format!("more than {DEPTH} levels deep")));
        }
        let place = self.place(&span.start);
        let before = self.parts;
        let (anchor, tag, value) = match event {
            Event::Alias(anchor) => return self.alias(anchor, &span),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| tag.into_owned());
                let value = self.scalar(text.into_owned(), style, tag.as_ref(), &span)?;
                (anchor, tag, value)
            }
            Event::SequenceStart(anchor, tag) => {
                self.anchors.insert(anchor, None);
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                let tag = tag.map(|tag| tag.into_owned());
                (anchor, tag, Value::List(items))
            }
            Event::MappingStart(anchor, tag) => {
                self.anchors.insert(anchor, None);
                let map = self.map(depth)?;
                let tag = tag.map(|tag| tag.into_owned());
                (anchor, tag, Value::Map(map))
            }
            _ => return Err(self.problem(&span.start, "a value was expected here")),
        };
        let mark = self.mark(tag.as_ref(), &span)?;
        let node = Node { value, place, mark };
        if anchor > 0 {
            let parts = self.parts - before + 1;
            self.anchors.insert(anchor, Some((node.clone(), parts)));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<Node, Problem> {
        let (node, parts) = match self.anchors.get(&anchor) {
            Some(Some((node, parts))) => (node.clone(), *parts),
            Some(None) => return Err(self.problem(&span.start, "the anchor contains itself")),
            None => return Err(self.problem(&span.start, "the alias names no anchor")),
        };
        self.parts += parts;
        if self.parts > PARTS {
            return Err(self.problem(&span.start, "aliases make the document too large"));
        }
        Ok(node)
    }

    fn map(&mut self, depth: usize) -> Result<Map, Problem> {
        let mut map = Map::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let place = self.place(&span.start);
            let merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if merge {
                merged.push(value);
                continue;
            }
            let Value::String(key) = key.value else {
                let message = match key.scalar_text() {
                    Some(text) => format!("the key {text} is no text; write it in quotes"),
                    None => "a key must be a text".to_owned(),
                };
                return Err(Problem::new(&place, "", message));
            };
            if let Some(line) = lines.insert(key.clone(), place.line) {
                let message = format!("mapping key \"{key}\" already defined at line {line}");
                return Err(Problem::new(&place, "", message));
            }
            map.push(Entry { key, place, value });
        }
        for value in merged {
            self.merge(&mut map, value)?;
        }
        Ok(map)
    }

    /// `<<`: what the map does not say itself, of one map or of several, the first one first.
    fn merge(&self, map: &mut Map, value: Node) -> Result<(), Problem> {
        match value.value {
            Value::Map(from) => {
                for entry in from.into_entries() {
                    if !map.has(&entry.key) {
                        map.push(entry);
                    }
                }
                Ok(())
            }
            Value::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
                items.into_iter().try_for_each(|item| self.merge(map, item))
            }
            _ => Err(Problem::new(
                &value.place,
                "",
                "map merge requires map or sequence of maps as the value",
            )),
        }
    }

    fn scalar(
        &self,
        text: String,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<Value, Problem> {
        let core = tag.filter(|tag| tag.is_yaml_core_schema());
        let Some(tag) = core else {
            return Ok(match style {
                ScalarStyle::Plain => scalar::resolve(&text),
                _ => Value::String(text),
            });
        };
        let resolved = scalar::resolve(&text);
        let value = match (tag.suffix.as_str(), &resolved) {
            ("str", _) => Some(Value::String(text.clone())),
            ("int", Value::Int(_)) | ("bool", Value::Bool(_)) | ("null", Value::Null) => {
                Some(resolved)
            }
            ("float", Value::Float(_)) => Some(resolved),
            ("float", Value::Int(number)) => Some(Value::Float(*number as f64)),
            ("bool", _) => match text.to_ascii_lowercase().as_str() {
                "y" | "yes" | "on" => Some(Value::Bool(true)),
                "n" | "no" | "off" => Some(Value::Bool(false)),
                _ => None,
            },
            _ => None,
        };
        value.ok_or_else(|| {
            let message = format!("cannot decode \"{text}\" as a !!{}", tag.suffix);
            self.problem(&span.start, message)
        })
    }

    fn mark(&self, tag: Option<&Tag>, span: &Span) -> Result<Mark, Problem> {
        let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else {
            return Ok(Mark::None);
        };
        match (tag.handle.as_str(), tag.suffix.as_str()) {
            ("!", "reset") => Ok(Mark::Reset),
            ("!", "override") => Ok(Mark::Override),
            ("" | "!", "" | "!") => Ok(Mark::None),
            (handle, suffix) => {
                let message = format!(
                    "the tag {handle}{suffix} has no meaning here; !reset and !override have one"
                );
                Err(self.problem(&span.start, message))
            }
        }
    }
}
