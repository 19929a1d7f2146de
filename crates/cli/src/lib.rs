//! The docker-compatible command line: Docker's grammar, output and exit codes, over the Engine API.

mod alias; // aliases of config.json
mod args; // grammar: flags, parsing, help pages
mod build; // images from Dockerfiles, and their cache
mod cli; // what a command works with
mod columns; // columns of lists: header, field, how to get it
mod command; // the table of commands
mod completion; // completion for shells
mod compose; // commands on whole applications
mod confirm; // asking before something is lost
mod container; // commands on containers
mod context; // commands on contexts
mod daemon; // starting onggid on demand
mod debug; // what onggi makes of files; in no help
mod error; // failures and exit codes
mod format; // --format: tables, JSON, templates
#[cfg(test)]
mod fuzz; // command lines nobody thought of
mod help; // the help command
mod image; // commands on images
mod manifest; // lists of images, one a platform
mod network; // commands on networks
mod plugin; // programs that bring commands
mod program; // from arguments to an exit code
mod recipe; // how to make a container again
mod registry; // the registry beside this program
mod settings; // environment, config.json, the endpoint
mod stream; // terminals, streams, signals, progress
mod system; // commands on the system, and inspect
mod text; // ids and times for people
mod times; // times on the command line
mod volume; // commands on volumes

pub use program::main;
pub use settings::Environment;

pub(crate) use cli::Cli;
pub(crate) use onggi_model::quote;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit this program was built from, if the build told.
pub const BUILD: &str = match option_env!("ONGGI_BUILD") {
    Some(commit) => commit,
    None => "unknown",
};
