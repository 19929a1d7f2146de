//! Commands for those who look into onggi: in no help, and free to change.

mod dockerfile;

use crate::command::{Command, Group};

/// `debug`.
pub(crate) const GROUP: Group = Group {
    name: "debug",
    about: "Look into how onggi works",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 1] = [&dockerfile::COMMAND];
