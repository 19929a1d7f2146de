//! `context`: daemons by name, kept in the client's configuration. The folder itself is [`crate::settings::Store`].

mod change; // create, update, rm, use
mod endpoint; // --docker host=...,ca=...
mod show; // ls, show, inspect
mod transfer; // export, import

use crate::args::flag::Complete;
use crate::command::{Command, Group};

/// `context`.
pub(crate) const GROUP: Group = Group {
    name: "context",
    about: "Manage contexts: daemons by name",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 9] = [
    &change::CREATE,
    &transfer::EXPORT,
    &transfer::IMPORT,
    &show::INSPECT,
    &show::LS,
    &change::RM,
    &show::SHOW,
    &change::UPDATE,
    &change::USE,
];

/// Completes names of contexts.
const NAMES: &[Complete] = &[Complete::Contexts];
