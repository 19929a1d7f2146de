//! Parse and render.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gotmpl::parse::{DefineNode, Expr, ListNode, Node, Parser};
use gotmpl::{TemplateError, Value};

use crate::data::{Data, Shape, address};
use crate::error::{Error, Result};
use crate::funcs::{self, Functions};
use crate::print;
use crate::rewrite::{AT, AT_PIPED, GET, METHOD, PRINT, Rewriter, Site};

/// The name the top of a template runs under; no template can define it.
const MAIN: &str = "\u{1}main";

/// The longest output: a template, which may come with a request, fills no memory.
const MAX_OUTPUT: usize = 64 << 20;

/// A parsed template, for any number of renderings.
pub struct Template {
    name: String,
    source: String,
    tree: ListNode,
    defines: Vec<DefineNode>,
    sites: Arc<[Site]>,
    used: Vec<String>,
    /// The parts, where there are only texts and fields: as in tables, whose many rows need no engine.
    plain: Option<Vec<Part>>,
}

/// A part of a plain template.
enum Part {
    Text(String),
    Field(Vec<String>),
}

impl Template {
    /// Parses the text of a template that errors give no name, as those of `--format`.
    ///
    /// # Errors
    /// [`Error::Parse`] when the text is no template or calls a function that does not exist.
    pub fn parse(source: &str) -> Result<Self> {
        Self::named("", source)
    }

    /// Parses a template that errors call `name`.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn named(name: &str, source: &str) -> Result<Self> {
        let refuse = |error: TemplateError| match error {
            TemplateError::Parse { line, message, .. }
            | TemplateError::Lex { line, message, .. } => Error::Parse {
                name: name.to_owned(),
                line,
                message,
            },
            other => Error::Parse {
                name: name.to_owned(),
                line: 1,
                message: other.to_string(),
            },
        };
        let (tree, defines) = Parser::new(source, "{{", "}}")
            .map_err(refuse)?
            .parse()
            .map_err(refuse)?;
        let plain = tree.nodes.iter().map(Part::of).collect();
        let mut rewriter = Rewriter {
            name,
            sites: Vec::new(),
            used: Vec::new(),
        };
        let tree = rewriter.list(tree)?;
        let defines = defines
            .into_iter()
            .map(|d| rewriter.define(d))
            .collect::<Result<Vec<_>>>()?;
        Ok(Template {
            name: name.to_owned(),
            source: source.to_owned(),
            tree,
            defines,
            sites: rewriter.sites.into(),
            used: rewriter.used,
            plain,
        })
    }

    /// Whether the template reads the field `name` of its data, or its data as a whole.
    pub fn uses(&self, name: &str) -> bool {
        self.used.iter().any(|used| used == name || used == ".")
    }

    /// The template filled with `data`.
    ///
    /// # Errors
    /// [`Error::Execute`] where the template and the data do not fit.
    pub fn render(&self, data: &Data) -> Result<String> {
        self.render_with(data, Functions::Basic)
    }

    /// The template filled with `data`, with the given set of functions.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_with(&self, data: &Data, functions: Functions) -> Result<String> {
        if let Some(text) = self.plain.as_ref().and_then(|parts| fill(parts, data)) {
            return Ok(text);
        }
        let place = Arc::new(Place::default());
        let mut map = funcs::map(functions, &data.shapes);
        let shapes = Arc::clone(&data.shapes);
        map.insert(
            PRINT.to_owned(),
            Arc::new(move |args: &[Value]| {
                let value = args.last().unwrap_or(&Value::Nil);
                Ok(Value::String(print::print(value, &shapes).into()))
            }),
        );
        map.insert(AT.to_owned(), at(&place, 1));
        map.insert(AT_PIPED.to_owned(), at(&place, 0));
        map.insert(GET.to_owned(), self.get(&place, &data.shapes));
        map.insert(METHOD.to_owned(), self.method(&place, &data.shapes));
        let mut template = gotmpl::Template::new("").funcs(map);
        template = template.add_parse_tree(MAIN, self.tree.clone());
        for define in &self.defines {
            template = template.add_parse_tree(&define.name, define.body.clone());
        }
        let mut output = Output::default();
        match template.execute_template_fmt(&mut output, MAIN, &data.value) {
            Ok(()) => Ok(output.text),
            Err(_) if output.is_full => Err(Error::Other {
                name: self.name.clone(),
                message: format!("the output is longer than {} MiB", MAX_OUTPUT >> 20),
            }),
            Err(error) => Err(self.locate(&place, error)),
        }
    }

    /// Walks fields: `get value site`.
    fn get(&self, place: &Arc<Place>, shapes: &Arc<HashMap<usize, Shape>>) -> gotmpl::ValueFunc {
        let (place, shapes, sites) = (
            Arc::clone(place),
            Arc::clone(shapes),
            Arc::clone(&self.sites),
        );
        Arc::new(move |args: &[Value]| {
            let [value, Value::Int(index)] = args else {
                return Ok(Value::Nil);
            };
            let Some(site) = sites.get(*index as usize) else {
                return Ok(Value::Nil);
            };
            let walked = walk(value, &site.fields, &shapes).and_then(|value| match value {
                Value::Function(_) => {
                    let name = site.fields.last().map_or("", String::as_str);
                    Err(format!("wrong number of args for {name}: want 1 got 0"))
                }
                value => Ok(value),
            });
            walked.map_err(|message| place.fail(*index, message))
        })
    }

    /// Calls a method: `method receiver site arguments...`.
    fn method(&self, place: &Arc<Place>, shapes: &Arc<HashMap<usize, Shape>>) -> gotmpl::ValueFunc {
        let (place, shapes, sites) = (
            Arc::clone(place),
            Arc::clone(shapes),
            Arc::clone(&self.sites),
        );
        Arc::new(move |args: &[Value]| {
            let [value, Value::Int(index), rest @ ..] = args else {
                return Ok(Value::Nil);
            };
            let Some(site) = sites.get(*index as usize) else {
                return Ok(Value::Nil);
            };
            let method = walk(value, &site.fields, &shapes);
            let method = method.map_err(|message| place.fail(*index, message))?;
            match method {
                Value::Function(function) => function(rest).map_err(|error| match error {
                    TemplateError::Exec(message) => place.fail(*index, message),
                    other => other,
                }),
                _ => {
                    let name = site.fields.last().map_or("", String::as_str);
                    let message = format!("{name} is not a method but has arguments");
                    Err(place.fail(*index, message))
                }
            }
        })
    }

    /// Turns an error of the engine into one of Go's, with the place that was noted last.
    fn locate(&self, place: &Place, error: TemplateError) -> Error {
        let (site, message) = place.take();
        let name = self.name.clone();
        let site = usize::try_from(site)
            .ok()
            .and_then(|index| self.sites.get(index));
        let raw = match error {
            TemplateError::Exec(message) => message,
            other => other.to_string(),
        };
        let Some(site) = site else {
            return Error::Other { name, message: raw };
        };
        let message = message.unwrap_or_else(|| match &site.function {
            Some(_) if raw.starts_with("wrong ") => raw,
            Some(function) => format!("error calling {function}: {raw}"),
            None => raw,
        });
        // The parser's places may lie within a character.
        let before = &self.source[..self.source.floor_char_boundary(site.offset)];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rfind('\n')
            .map_or(before.len(), |at| before.len() - at - 1);
        let position = format!("{line}:{column}: ");
        Error::Execute {
            name,
            position,
            at: site.text.clone(),
            message,
        }
    }
}

/// What a template says, up to a limit.
#[derive(Default)]
struct Output {
    text: String,
    is_full: bool,
}

impl std::fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.text.len() + text.len() > MAX_OUTPUT {
            self.is_full = true;
            return Err(std::fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

impl Part {
    fn of(node: &Node) -> Option<Self> {
        match node {
            Node::Text(text) => Some(Self::Text(text.text.to_string())),
            Node::Action(action) if action.pipe.decl.is_empty() => {
                let [command] = action.pipe.commands.as_slice() else {
                    return None;
                };
                let [Expr::Field(_, fields)] = command.args.as_slice() else {
                    return None;
                };
                Some(Self::Field(
                    fields.iter().map(ToString::to_string).collect(),
                ))
            }
            _ => None,
        }
    }
}

/// A plain template with `data`; nothing where that fails: the engine knows what to say of it.
fn fill(parts: &[Part], data: &Data) -> Option<String> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Field(fields) => match walk(&data.value, fields, &data.shapes) {
                Err(_) | Ok(Value::Function(_)) => return None,
                Ok(value) => out.push_str(&print::print(&value, &data.shapes)),
            },
        }
    }
    Some(out)
}

/// Notes which call is next, by the number at `index`, and hands the other argument through.
fn at(place: &Arc<Place>, index: usize) -> gotmpl::ValueFunc {
    let place = Arc::clone(place);
    Arc::new(move |args: &[Value]| {
        if let Some(Value::Int(site)) = args.get(index) {
            place.set(*site, None);
        }
        Ok(args.get(1 - index).cloned().unwrap_or(Value::Nil))
    })
}

/// The place in the template that runs, and what failed there if we know better than the engine.
struct Place(Mutex<(i64, Option<String>)>);

impl Default for Place {
    fn default() -> Self {
        Place(Mutex::new((-1, None)))
    }
}

impl Place {
    fn set(&self, site: i64, message: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (site, message);
    }

    fn fail(&self, site: i64, message: String) -> TemplateError {
        self.set(site, Some(message.clone()));
        TemplateError::Exec(message)
    }

    fn take(&self) -> (i64, Option<String>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn walk(
    from: &Value,
    fields: &[String],
    shapes: &HashMap<usize, Shape>,
) -> std::result::Result<Value, String> {
    let mut value = from.clone();
    let mut absent: Option<&str> = None;
    let of_row = address(from)
        .and_then(|key| shapes.get(&key))
        .is_some_and(|shape| matches!(shape, Shape::Row { .. }));
    for field in fields {
        let shape = address(&value).and_then(|key| shapes.get(&key));
        if let Some(missing) = absent.filter(|_| value == Value::Nil) {
            return Err(format!("map has no entry for key {missing:?}"));
        }
        let next = match &value {
            Value::Map(map) => map.get(field.as_str()).cloned(),
            Value::Nil => return Err(format!("nil pointer evaluating interface {{}}.{field}")),
            _ => {
                return Err(format!(
                    "can't evaluate field {field} in type interface {{}}"
                ));
            }
        };
        absent = match shape {
            Some(Shape::Struct { absent, .. }) if absent.contains(&field.as_str()) => Some(field),
            _ => None,
        };
        value = match (next, shape) {
            (Some(next), _) => next,
            (None, Some(Shape::Row { type_name, .. })) => {
                return Err(format!("can't evaluate field {field} in type {type_name}"));
            }
            // Rows are filled with Go's usual leniency, documents without.
            (None, Some(Shape::Map { .. })) if of_row => Value::Nil,
            (None, _) => return Err(format!("map has no entry for key {field:?}")),
        };
    }
    Ok(value)
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
