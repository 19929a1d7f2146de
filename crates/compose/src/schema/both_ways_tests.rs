//! Our reading of the schema beside a full implementation of JSON Schema: every document of the cases, and every document
//! that one change makes of it, is refused by both or by none.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{Part, check};
use crate::config;
use crate::node::{Map, Node, Place, Value};
use crate::yaml;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
        {
            found.push(path);
        }
    }
    found.sort();
}

fn documents() -> Vec<(PathBuf, Node)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let mut documents = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        // What is no YAML, and what has tags that take parts away, says nothing of the schema.
        if text.contains("!reset") || text.len() > 4000 || text.contains("bomb") {
            continue;
        }
        let parsed = yaml::parse(&text, "f").unwrap_or_default();
        documents.extend(parsed.into_iter().map(|document| (path.clone(), document)));
    }
    documents
}

/// What each part of a document is changed into.
fn others() -> Vec<Value> {
    let nowhere = Place::nowhere();
    let mut odd = Map::new();
    odd.set("odd", Node::new("x", &nowhere));
    let twice = vec![Node::new("a", &nowhere), Node::new("a", &nowhere)];
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(-7),
        Value::Int(5000),
        Value::Float(1.5),
        Value::from("text"),
        Value::List(vec![Node::new(1_i64, &nowhere)]),
        Value::List(twice),
        Value::Map(Map::new()),
        Value::Map(odd),
    ]
}

/// How many parts a document has.
fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(map) => map.iter().map(|(_, node)| count(node)).sum(),
        _ => 0,
    }
}

/// A document with the part of that number changed.
fn changed(node: &Node, number: &mut usize, value: &Value) -> Node {
    let here = *number == 0;
    *number = number.wrapping_sub(1);
    if here {
        return Node::new(value.clone(), &node.place);
    }
    let mut node = node.clone();
    match &mut node.value {
        Value::List(items) => {
            for item in items {
                *item = changed(item, number, value);
            }
        }
        Value::Map(map) => {
            for item in map.values_mut() {
                *item = changed(item, number, value);
            }
        }
        _ => (),
    }
    node
}

#[test]
fn what_the_schema_refuses_we_refuse_and_nothing_else() {
    let schema: Json = serde_json::from_str(super::rule::TEXT).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let mut compared = 0;
    let mut refused = 0;
    for (path, document) in documents() {
        let mut agree = |document: &Node, what: &str| {
            let json = config::json_of(document);
            let (theirs, ours) = (validator.is_valid(&json), check(document, Part::Whole));
            compared += 1;
            refused += usize::from(!theirs);
            assert_eq!(
                ours.is_empty(),
                theirs,
                "{} {what}: {json}\n{ours:#?}",
                path.display()
            );
        };
        agree(&document, "as it is");
        for index in 0..count(&document) {
            for value in others() {
                let other = changed(&document, &mut index.clone(), &value);
                agree(&other, &format!("part {index} as {value:?}"));
            }
        }
    }
    assert!(
        compared > 10_000 && refused > 5_000,
        "{compared} compared, {refused} refused"
    );
}
