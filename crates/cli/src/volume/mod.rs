//! Commands on volumes, one file a verb.

pub(crate) mod create;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rename;
pub(crate) mod rm;
pub(crate) mod update;

use crate::command::{Command, Group};

/// `volume`.
pub(crate) const GROUP: Group = Group {
    name: "volume",
    about: "Manage volumes",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 9] = [
    &create::COMMAND,
    &export::COMMAND,
    &import::COMMAND,
    &inspect::COMMAND,
    &ls::COMMAND,
    &prune::COMMAND,
    &rename::COMMAND,
    &rm::COMMAND,
    &update::COMMAND,
];
