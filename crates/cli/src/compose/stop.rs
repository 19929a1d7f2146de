//! `compose stop`.

use onggi_compose::command::Stop;
use onggi_compose::plan;

use super::application::act;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;

/// `--timeout`, of every command that stops containers.
pub(super) const TIMEOUT: Flag = value(
    Some('t'),
    "timeout",
    "int",
    "Seconds a container has to end by itself",
)
.checked(check::int);

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Stop the containers of services",
    flags: &[&[TIMEOUT]],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose stop"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let stop = Stop {
        services: matches.args.clone(),
        timeout: matches.int("timeout"),
    };
    act(cli, "Stopping", |name, application, facts| {
        plan::stop(name, application, facts, &stop)
    })?;
    Ok(0)
}
