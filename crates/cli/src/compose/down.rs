//! `compose down`: everything goes.

use onggi_compose::command::{Down, Rmi};
use onggi_compose::plan;

use super::application::act;
use super::stop::TIMEOUT;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(
        None,
        "remove-orphans",
        "Remove containers of services that the files do not know",
    ),
    value(
        None,
        "rmi",
        "string",
        "Remove images: \"local\" those without a name of their own, \"all\" all",
    )
    .completed(Complete::Words(&["local", "all"])),
    TIMEOUT,
    switch(Some('v'), "volumes", "Remove volumes, with what is in them"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICES]",
    about: "Stop and remove containers and networks",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose down"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let down = Down {
        services: matches.args.clone(),
        remove_orphans: matches.on("remove-orphans"),
        volumes: matches.on("volumes"),
        images: match matches.text("rmi") {
            "" => Rmi::None,
            "local" => Rmi::Local,
            "all" => Rmi::All,
            other => {
                return Err(Error::new(format!(
                    "invalid value for --rmi: {} (local, all)",
                    crate::quote(other)
                )));
            }
        },
        timeout: matches.int("timeout"),
    };
    let plan = act(cli, "Running", |name, application, facts| {
        plan::down(name, application, facts, &down)
    })?;
    if plan.is_empty() {
        cli.complain(&format!(
            "WARNING: No resource found to remove for project {:?}.",
            plan.project
        ))?;
    }
    Ok(0)
}
