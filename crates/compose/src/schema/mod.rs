//! The JSON schema of the Compose Specification, held against a document: what it refuses we refuse, and say where and
//! which rule. The rules are data ([`compose-spec.json`](https://github.com/compose-spec/compose-spec), without its
//! descriptions); here is the small part of JSON Schema draft 7 that they are written in.

#[cfg(test)]
mod both_ways_tests;
mod check; // a document held against the rules
mod rule; // the rules, read once // what the schema refuses we refuse, and nothing else

pub(crate) use check::{Part, check};
