//! Commands on the system, one file a verb.

pub(crate) mod adopt;
pub(crate) mod check;
pub(crate) mod df;
pub(crate) mod dial_stdio;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod inspect;
mod kinds; // what inspected documents were in Go
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod prune;
pub(crate) mod version;

use crate::command::{Command, Group};

/// `system`.
pub(crate) const GROUP: Group = Group {
    name: "system",
    about: "Manage the engine",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 7] = [
    &adopt::COMMAND,
    &check::COMMAND,
    &df::COMMAND,
    &dial_stdio::COMMAND,
    &events::COMMAND,
    &info::COMMAND,
    &prune::COMMAND,
];
