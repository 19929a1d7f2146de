//! One JSON document a line, in the words of buildx's `rawjson`: steps by a digest, output in base64.

use std::collections::HashMap;

use base64::Engine as _;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::Event;

/// Knows what each step is called.
#[derive(Debug, Default)]
pub(in super::super) struct Raw {
    names: HashMap<u64, String>,
    started: HashMap<u64, Timestamp>,
}

impl Raw {
    /// What to write for an event.
    pub(super) fn event(&mut self, event: &Event) -> String {
        let document = match event {
            Event::Vertex(vertex) => {
                let digest = digest(vertex.n, &vertex.name);
                self.names.insert(vertex.n, digest.clone());
                let mut fields = Map::new();
                fields.insert("digest".to_owned(), digest.into());
                fields.insert("name".to_owned(), vertex.name.clone().into());
                if let Some(started) = vertex.started.or(vertex.completed) {
                    self.started.entry(vertex.n).or_insert(started);
                }
                let started = self.started.get(&vertex.n).copied();
                for (key, time) in [("started", started), ("completed", vertex.completed)] {
                    if let Some(time) = time {
                        fields.insert(key.to_owned(), time.to_string().into());
                    }
                }
                if vertex.cached {
                    fields.insert("cached".to_owned(), true.into());
                }
                if !vertex.error.is_empty() {
                    fields.insert("error".to_owned(), vertex.error.clone().into());
                }
                json!({"vertexes": [Value::Object(fields)]})
            }
            Event::Log(log) => {
                let vertex = self.names.get(&log.n).cloned().unwrap_or_default();
                let data = base64::engine::general_purpose::STANDARD.encode(&log.data);
                json!({"logs": [{"vertex": vertex, "stream": log.stream, "data": data}]})
            }
            Event::Status { n, text } => {
                let vertex = self.names.get(n).cloned().unwrap_or_default();
                json!({"statuses": [{"id": text, "vertex": vertex}]})
            }
            Event::Warning { n, text } => {
                let vertex = self.names.get(n).cloned().unwrap_or_default();
                let short = base64::engine::general_purpose::STANDARD.encode(text);
                json!({"warnings": [{"vertex": vertex, "level": 1, "short": short}]})
            }
        };
        format!("{document}\n")
    }
}

fn digest(n: u64, name: &str) -> String {
    let digest = Sha256::digest(format!("{n} {name}"));
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}
