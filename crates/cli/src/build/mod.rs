//! `build`, and the commands on the cache of builds.
//!
//! The way of a build: [`context`] finds out what is built, [`request`] makes parameters of the flags, [`session`] tells our
//! own daemon what is built with, [`body`] packs and sends it to others, `run` follows the daemon's messages and does with the image what `--output` and `--push` ask for. What the
//! Dockerfile means is the daemon's business; only `--check` reads it here.

mod body; // what is sent
mod cache; // --cache-from, --cache-to
mod check; // build --check
mod classic; // messages as Docker's first builder prints them
mod context; // what is built
mod du; // builder du
mod export; // images and their files out of the daemon
mod flags; // the flags of build
mod follow; // a build from the first byte to the last message
mod hashes; // what files are known by, from build to build
mod history; // builder history
mod layout; // caches in directories here
mod named; // --build-context
mod output; // --output
mod progress; // messages as BuildKit shows them
mod prune; // builder prune
mod request; // from flags to parameters
pub(crate) mod run; // build
mod secret; // --secret
mod session; // what is told to our own daemon
mod ssh; // --ssh
mod tree; // a directory into a tar

use crate::command::{Command, Group};

/// `builder`.
pub(crate) const GROUP: Group = Group {
    name: "builder",
    about: "Manage builds",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 7] = [
    &run::COMMAND,
    &du::COMMAND,
    &history::INSPECT,
    &history::LOGS,
    &history::LS,
    &history::RM,
    &prune::COMMAND,
];
