//! Commands on whole applications, one file a verb. What a project is and how it comes to run is the crate
//! `onggi-compose`'s; here are flags, words and what is shown.

pub(crate) mod attach;
pub(crate) mod called; // the names and ways this program is called by
pub(crate) mod commit;
pub(crate) mod config; // the model, printed
mod containers; // which containers are meant
pub(crate) mod cp;
mod digests; // images by what they are
mod each; // one deed on many containers
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod export;
mod flags; // the options before the command
pub(crate) mod images;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod pause;
pub(crate) mod port;
pub(crate) mod project; // from options to a project
pub(crate) mod ps;
mod show; // progress, colours
pub(crate) mod stats;
pub(crate) mod top;
pub(crate) mod unpause;
mod variables; // the variables of a project, listed
pub(crate) mod version;
pub(crate) mod volumes;
pub(crate) mod wait;

use crate::command::{Command, Group};

/// `compose`.
pub(crate) const GROUP: Group = Group {
    name: "compose",
    about: "Define and run applications of several containers",
    commands: &COMMANDS,
    flags: flags::GLOBAL,
};

const COMMANDS: [&Command; 20] = [
    &attach::COMMAND,
    &commit::COMMAND,
    &config::COMMAND,
    &cp::COMMAND,
    &events::COMMAND,
    &exec::COMMAND,
    &export::COMMAND,
    &images::COMMAND,
    &kill::COMMAND,
    &logs::COMMAND,
    &ls::COMMAND,
    &pause::COMMAND,
    &port::COMMAND,
    &ps::COMMAND,
    &stats::COMMAND,
    &top::COMMAND,
    &unpause::COMMAND,
    &version::COMMAND,
    &volumes::COMMAND,
    &wait::COMMAND,
];
