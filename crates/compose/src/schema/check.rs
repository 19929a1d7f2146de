//! A document held against the rules of the schema.

use super::rule::{Rule, SCHEMA, Type};
use crate::error::{Problem, nearest};
use crate::node::{Mark, Node, Place, Value};

/// How much of a project a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One file, to which others may add what is required.
    File,
    /// All of it.
    Whole,
}

/// Everything the schema refuses in this document.
pub(crate) fn check(document: &Node, part: Part) -> Vec<Problem> {
    let mut check = Check {
        part,
        path: Vec::new(),
        problems: Vec::new(),
    };
    check.node(document, 0);
    check.problems
}

struct Check {
    part: Part,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Check {
    fn refuse(&mut self, place: &Place, message: impl Into<String>) {
        let path = self.path.join(".");
        self.problems.push(Problem::new(place, path, message));
    }

    fn node(&mut self, node: &Node, index: usize) {
        let rule = SCHEMA.get(index);
        if !rule.one_of.is_empty() {
            return self.one_of(node, rule);
        }
        if !rule.types.is_empty() && !rule.types.iter().any(|t| is(node, *t)) {
            return self.refuse(&node.place, format!("must be {}", either(&rule.types)));
        }
        match &node.value {
            Value::Map(_) => self.map(node, rule),
            Value::List(items) => self.list(node, items, rule),
            Value::String(text) => self.text(node, text, rule),
            Value::Int(number) => self.number(node, *number as f64, rule),
            Value::Float(number) => self.number(node, *number, rule),
            Value::Null | Value::Bool(_) => (),
        }
    }

    /// The rules of a choice differ by type: what is wrong is said by the one whose type it is.
    fn one_of(&mut self, node: &Node, rule: &Rule) {
        let fits = |index: &&usize| {
            let types = types(**index);
            types.is_empty() || types.iter().any(|t| is(node, *t))
        };
        match rule.one_of.iter().find(fits) {
            Some(index) => self.node(node, *index),
            None => {
                let mut all: Vec<Type> = Vec::new();
                for index in &rule.one_of {
                    all.extend(types(*index));
                }
                self.refuse(&node.place, format!("must be {}", either(&all)));
            }
        }
    }

    fn map(&mut self, node: &Node, rule: &Rule) {
        let Some(map) = node.as_map() else { return };
        for entry in map.entries() {
            // What a file sets to nothing leaves what an earlier one says.
            let nothing = self.part == Part::File && entry.value.is_null();
            if entry.value.mark == Mark::Reset {
                continue;
            }
            let named = rule.properties.iter().find(|(name, _)| *name == entry.key);
            let like = || {
                rule.patterns
                    .iter()
                    .find(|(like, _)| like.is_match(&entry.key))
            };
            let index = named
                .map(|(_, index)| *index)
                .or_else(|| like().map(|(_, index)| *index));
            match index {
                Some(_) if nothing => (),
                Some(index) => {
                    self.path.push(entry.key.clone());
                    self.node(&entry.value, index);
                    self.path.pop();
                }
                None if rule.closed => {
                    let path = self.path.join(".");
                    let message = format!("additional properties '{}' not allowed", entry.key);
                    let mut problem = Problem::new(&entry.place, path, message);
                    let known = rule.properties.iter().map(|(name, _)| name.as_str());
                    if let Some(name) = nearest(&entry.key, known) {
                        problem = problem.hint(format!("did you mean '{name}'?"));
                    }
                    self.problems.push(problem);
                }
                None => (),
            }
        }
        if self.part == Part::Whole {
            for name in &rule.required {
                if !map.has(name) {
                    self.refuse(&node.place, format!("missing property '{name}'"));
                }
            }
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], rule: &Rule) {
        for (number, item) in items.iter().enumerate() {
            if let (Some(index), true) = (rule.items, item.mark != Mark::Reset) {
                self.path.push(number.to_string());
                self.node(item, index);
                self.path.pop();
            }
            if rule.unique
                && let Some(first) = items[..number].iter().position(|other| other == item)
            {
                let message = format!("items at {first} and {number} are equal");
                self.refuse(
                    if item.place.line > 0 {
                        &item.place
                    } else {
                        &node.place
                    },
                    message,
                );
            }
        }
    }

    fn text(&mut self, node: &Node, text: &str, rule: &Rule) {
        if !rule.one_text_of.is_empty() && !rule.one_text_of.iter().any(|one| one == text) {
            let all: Vec<String> = rule.one_text_of.iter().map(|t| format!("'{t}'")).collect();
            let message = match &all[..] {
                [one] => format!("must be {one}"),
                all => format!("must be one of {}", all.join(", ")),
            };
            self.refuse(&node.place, message);
        }
        if let Some(pattern) = rule.pattern.as_ref().filter(|p| !p.is_match(text)) {
            self.refuse(
                &node.place,
                format!("'{text}' does not match pattern '{pattern}'"),
            );
        }
    }

    fn number(&mut self, node: &Node, number: f64, rule: &Rule) {
        if let Some(least) = rule.minimum.filter(|least| number < *least) {
            self.refuse(&node.place, format!("must be at least {least}"));
        }
        if let Some(most) = rule.maximum.filter(|most| number > *most) {
            self.refuse(&node.place, format!("must be at most {most}"));
        }
    }
}

/// The types a rule allows, those of its choices among them.
fn types(index: usize) -> Vec<Type> {
    let rule = SCHEMA.get(index);
    let chosen = rule.one_of.iter().flat_map(|index| types(*index));
    rule.types.iter().copied().chain(chosen).collect()
}

fn is(node: &Node, wanted: Type) -> bool {
    match (&node.value, wanted) {
        (Value::Null, Type::Null)
        | (Value::Bool(_), Type::Boolean)
        | (Value::Int(_), Type::Integer | Type::Number)
        | (Value::Float(_), Type::Number)
        | (Value::String(_), Type::String)
        | (Value::List(_), Type::Array)
        | (Value::Map(_), Type::Object) => true,
        (Value::Float(number), Type::Integer) => number.fract() == 0.0,
        _ => false,
    }
}

/// `a string`, `a string or a number`, `a string, an array or a mapping`.
fn either(types: &[Type]) -> String {
    let mut words: Vec<String> = Vec::new();
    for kind in types {
        let word = match kind {
            Type::Null => "null".to_owned(),
            Type::Integer | Type::Array => format!("an {}", kind.word()),
            _ => format!("a {}", kind.word()),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match &words[..] {
        [] => "something else".to_owned(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} or {last}", front.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn problems(text: &str) -> Vec<String> {
        let documents = yaml::parse(text, "f").unwrap();
        let problems = check(&documents[0], Part::Whole);
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn what_is_refused_is_named_with_its_place_and_rule() {
        for (text, problem) in [
            (
                "services:\n  web:\n    imgae: x\n",
                "f:3:5: services.web: additional properties 'imgae' not allowed (did you mean 'image'?)",
            ),
            ("services: [a]\n", "f:1:11: services: must be a mapping"),
            (
                "services:\n  web:\n    ports: 80\n",
                "f:3:12: services.web.ports: must be an array",
            ),
            (
                "services:\n  web:\n    build: 3\n",
                "f:3:12: services.web.build: must be a string or a mapping",
            ),
            ("version: 3.8\n", "f:1:10: version: must be a string"),
            (
                "services:\n  web:\n    cgroup: x\n",
                "f:3:13: services.web.cgroup: must be one of 'host', 'private'",
            ),
            (
                "services:\n  web:\n    cap_add: [A, B, A]\n",
                "f:3:21: services.web.cap_add: items at 0 and 2 are equal",
            ),
            (
                "services:\n  web:\n    oom_score_adj: 2000\n",
                "f:3:20: services.web.oom_score_adj: must be at most 1000",
            ),
            (
                "services:\n  web:\n    provider: {}\n",
                "f:3:15: services.web.provider: missing property 'type'",
            ),
            (
                "services:\n  we b: {}\n",
                "f:2:3: services: additional properties 'we b' not allowed",
            ),
        ] {
            assert_eq!(problems(text), [problem], "{text}");
        }
        assert!(problems("x-a: 1\nservices:\n  web: {image: x, x-b: [1]}\n").is_empty());
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        assert_eq!(
            problems("services:\n  a: {image: 1}\n  b: {image: 2}\n").len(),
            2
        );
    }
}
