//! Commands on whole applications, one file a verb. What a project is and how it comes to run is the crate
//! `onggi-compose`'s; here are flags, words and what is shown.

mod application; // the project with types
pub(crate) mod attach;
mod attached; // up, with what containers write
pub(crate) mod build;
mod builder; // logins and builds for the library
pub(crate) mod called; // the names and ways this program is called by
pub(crate) mod commit;
pub(crate) mod config; // the model, printed
mod containers; // which containers are meant
pub(crate) mod cp;
pub(crate) mod create;
mod digests; // images by what they are
pub(crate) mod down;
mod drive; // commands carried out, with their progress
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
pub(crate) mod pull;
pub(crate) mod push;
mod recipe; // how an image is built
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod scale;
mod show; // progress, colours
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod top;
pub(crate) mod unpause;
pub(crate) mod up;
mod variables; // the variables of a project, listed
pub(crate) mod version;
pub(crate) mod volumes;
pub(crate) mod wait;
pub(crate) mod watch; // what follows when files change

use crate::command::{Command, Group};

/// `compose`.
pub(crate) const GROUP: Group = Group {
    name: "compose",
    about: "Define and run applications of several containers",
    commands: &COMMANDS,
    flags: flags::GLOBAL,
};

const COMMANDS: [&Command; 33] = [
    &attach::COMMAND,
    &build::COMMAND,
    &commit::COMMAND,
    &config::COMMAND,
    &cp::COMMAND,
    &create::COMMAND,
    &down::COMMAND,
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
    &pull::COMMAND,
    &push::COMMAND,
    &restart::COMMAND,
    &rm::COMMAND,
    &run::COMMAND,
    &scale::COMMAND,
    &start::COMMAND,
    &stats::COMMAND,
    &stop::COMMAND,
    &top::COMMAND,
    &unpause::COMMAND,
    &up::COMMAND,
    &version::COMMAND,
    &volumes::COMMAND,
    &wait::COMMAND,
    &watch::COMMAND,
];
