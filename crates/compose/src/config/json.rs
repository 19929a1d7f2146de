//! The project as JSON.

use serde_json::{Map as Object, Value as Json};

use super::shape::{Format, shape, sorted};
use crate::node::{Node, Value};
use crate::options::Step;
use crate::project::Project;

/// The project as JSON, indented. Dollars are doubled as in [`super::yaml`].
pub fn json(project: &Project, interpolation: Step) -> String {
    let text = serde_json::to_string_pretty(&json_value(project, interpolation));
    text.unwrap_or_default() + "\n"
}

/// The project as a JSON value.
pub fn json_value(project: &Project, interpolation: Step) -> Json {
    match interpolation {
        Step::Skipped => value(&sorted(&project.document, Format::Json)),
        Step::Done => {
            let mut json = value(&shape(&project.document, Format::Json));
            said_by_json(&mut json);
            json
        }
    }
}

/// What Docker Compose says in JSON even when there is nothing to say.
fn said_by_json(json: &mut Json) {
    for service in parts(json, "services") {
        let Some(service) = service.as_object_mut() else {
            continue;
        };
        if let Some(deploy) = service.get_mut("deploy").and_then(Json::as_object_mut) {
            for key in ["resources", "placement"] {
                deploy
                    .entry(key)
                    .or_insert_with(|| Json::Object(Object::new()));
            }
        }
    }
    for network in parts(json, "networks") {
        if let Some(network) = network.as_object_mut() {
            network
                .entry("ipam")
                .or_insert_with(|| Json::Object(Object::new()));
        }
    }
}

fn parts<'a>(json: &'a mut Json, section: &str) -> impl Iterator<Item = &'a mut Json> {
    let section = json.get_mut(section).and_then(Json::as_object_mut);
    section.into_iter().flat_map(Object::values_mut)
}

pub(crate) fn value(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            Json::from(*number as i64)
        }
        Value::Float(number) => Json::from(*number),
        Value::String(text) => Json::from(text.as_str()),
        Value::List(items) => Json::Array(items.iter().map(value).collect()),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, node)| (key.to_owned(), value(node)));
            Json::Object(entries.collect())
        }
    }
}
