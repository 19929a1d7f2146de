//! Commands on networks, one file a verb. Those that make and change networks are not there yet.

pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;

use crate::command::{Command, Group};

/// `network`.
pub(crate) const GROUP: Group = Group {
    name: "network",
    about: "Manage networks",
    commands: &COMMANDS,
};

const COMMANDS: [&Command; 3] = [&inspect::COMMAND, &ls::COMMAND, &prune::COMMAND];
