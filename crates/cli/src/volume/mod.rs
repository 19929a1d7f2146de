//! Commands on volumes, one file a verb.

pub(crate) mod create;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;

use crate::command::{Command, Group};

/// `volume`.
pub(crate) const GROUP: Group = Group {
    name: "volume",
    about: "Manage volumes",
    commands: &COMMANDS,
};

const COMMANDS: [&Command; 5] = [
    &create::COMMAND,
    &inspect::COMMAND,
    &ls::COMMAND,
    &prune::COMMAND,
    &rm::COMMAND,
];
