//! Commands on networks, one file a verb.

pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod disconnect;
pub(crate) mod exposure; // who can reach ports
pub(crate) mod inspect;
pub(crate) mod ipam; // which range, gateway and address belongs to which subnet
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;
#[cfg(test)]
mod tests; // what is sent, beside what the docker CLI sends

use std::collections::BTreeMap;

use crate::args::Matches;
use crate::command::{Command, Group};
use crate::error::{Error, Result};
use onggi_model::csv;

/// `network`.
pub(crate) const GROUP: Group = Group {
    name: "network",
    about: "Manage networks",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 7] = [
    &connect::COMMAND,
    &create::COMMAND,
    &disconnect::COMMAND,
    &inspect::COMMAND,
    &ls::COMMAND,
    &prune::COMMAND,
    &rm::COMMAND,
];

/// The values of a flag that takes several at once, with commas.
fn strings(matches: &Matches, flag: &'static str) -> Vec<String> {
    let given = matches.all(flag).filter(|text| !text.is_empty());
    given.flat_map(csv).collect()
}

/// `KEY=VALUE` or `KEY`.
fn pairs(matches: &Matches, flag: &'static str) -> BTreeMap<String, String> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    matches.all(flag).map(pair).collect()
}

/// Refuses an empty name before it becomes another path.
fn named<'a>(kind: &str, name: &'a str) -> Result<&'a str> {
    match name.trim() {
        "" => Err(Error::new(format!(
            "invalid {kind} name or ID: value is empty"
        ))),
        name => Ok(name),
    }
}
