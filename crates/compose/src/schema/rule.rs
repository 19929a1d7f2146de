//! The rules of the schema, read once from its JSON.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::Value as Json;

/// The schema's text.
pub(super) const TEXT: &str = include_str!("compose-spec.json");

/// The schema, read.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let json: Json = serde_json::from_str(TEXT).unwrap_or(Json::Bool(true));
    Schema::read(&json)
});

/// All rules, by number; the first one is the document's.
pub(super) struct Schema {
    rules: Vec<Rule>,
    named: HashMap<String, usize>,
}

/// What one value must be.
#[derive(Default)]
pub(super) struct Rule {
    /// Another rule that says it.
    pub(super) see: Option<String>,
    /// One of these types; any where there are none.
    pub(super) types: Vec<Type>,
    /// Exactly one of these rules.
    pub(super) one_of: Vec<usize>,
    /// The rules of named properties.
    pub(super) properties: Vec<(String, usize)>,
    /// The rules of properties with names like these.
    pub(super) patterns: Vec<(Regex, usize)>,
    /// Are other properties refused?
    pub(super) closed: bool,
    /// Properties that must be there.
    pub(super) required: Vec<String>,
    /// The rule of a list's items.
    pub(super) items: Option<usize>,
    /// Must a list's items differ?
    pub(super) unique: bool,
    /// One of these texts.
    pub(super) one_text_of: Vec<String>,
    /// A text like this.
    pub(super) pattern: Option<Regex>,
    /// At least.
    pub(super) minimum: Option<f64>,
    /// At most.
    pub(super) maximum: Option<f64>,
}

/// The types of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `integer`: numbers without a fraction
    Integer,
    /// `number`
    Number,
    /// `string`
    String,
    /// `array`
    Array,
    /// `object`
    Object,
}

impl Type {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "string" => Type::String,
            "array" => Type::Array,
            "object" => Type::Object,
            _ => return None,
        })
    }

    /// As Compose's errors call it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::Boolean => "boolean",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::String => "string",
            Type::Array => "array",
            Type::Object => "mapping",
        }
    }
}

impl Schema {
    fn read(json: &Json) -> Self {
        let mut schema = Schema {
            rules: vec![Rule::default()],
            named: HashMap::new(),
        };
        let document = schema.rule(json);
        schema.rules[0] = schema.rules.swap_remove(document);
        for (name, json) in json["definitions"].as_object().into_iter().flatten() {
            let index = schema.rule(json);
            schema.named.insert(name.clone(), index);
        }
        schema
    }

    /// Puts a rule in, its parts before it.
    fn rule(&mut self, json: &Json) -> usize {
        let texts = |key: &str| -> Vec<String> {
            let many = json[key].as_array().cloned();
            let many = many.unwrap_or_else(|| vec![json[key].clone()]);
            let texts = many.iter().filter_map(Json::as_str);
            texts.map(str::to_owned).collect()
        };
        let regex = |text: &str| Regex::new(text).ok();
        let types = texts("type");
        let mut rule = Rule {
            see: json["$ref"]
                .as_str()
                .and_then(|path| path.strip_prefix("#/definitions/"))
                .map(str::to_owned),
            types: types.iter().filter_map(|word| Type::of(word)).collect(),
            closed: json["additionalProperties"] == Json::Bool(false),
            required: texts("required"),
            unique: json["uniqueItems"] == Json::Bool(true),
            one_text_of: texts("enum"),
            pattern: json["pattern"].as_str().and_then(regex),
            minimum: json["minimum"].as_f64(),
            maximum: json["maximum"].as_f64(),
            ..Rule::default()
        };
        for json in json["oneOf"].as_array().into_iter().flatten() {
            rule.one_of.push(self.rule(json));
        }
        for (name, json) in json["properties"].as_object().into_iter().flatten() {
            rule.properties.push((name.clone(), self.rule(json)));
        }
        for (pattern, json) in json["patternProperties"].as_object().into_iter().flatten() {
            if let Some(pattern) = regex(pattern) {
                rule.patterns.push((pattern, self.rule(json)));
            }
        }
        if json["items"].is_object() {
            rule.items = Some(self.rule(&json["items"]));
        }
        self.rules.push(rule);
        self.rules.len() - 1
    }

    /// The rule of that number, or the one it points to.
    pub(super) fn get(&self, index: usize) -> &Rule {
        let rule = &self.rules[index];
        match rule.see.as_ref().and_then(|name| self.named.get(name)) {
            Some(named) => self.get(*named),
            None => rule,
        }
    }
}
