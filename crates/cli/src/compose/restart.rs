//! `compose restart`.

use onggi_compose::command::Restart;
use onggi_compose::plan;

use super::application::act;
use super::stop::TIMEOUT;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::Result;

const FLAGS: &[Flag] = &[
    switch(
        None,
        "no-deps",
        "Leave services alone that want to be restarted with them",
    ),
    TIMEOUT,
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Stop and start the containers of services",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose restart"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let restart = Restart {
        services: matches.args.clone(),
        no_deps: matches.on("no-deps"),
        timeout: matches.int("timeout"),
    };
    act(cli, "Restarting", |name, application, facts| {
        plan::restart(name, application, facts, &restart)
    })?;
    Ok(0)
}
