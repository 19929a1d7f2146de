//! `compose rm`: removes containers that do not run.

use onggi_compose::command::Remove;
use onggi_compose::plan;

use super::application::act;
use super::{containers, project};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::confirm::confirm;
use crate::error::Result;

const FLAGS: &[Flag] = &[
    switch(Some('f'), "force", "Do not ask"),
    switch(Some('s'), "stop", "Stop those that run before"),
    switch(
        Some('v'),
        "volumes",
        "Remove the containers' anonymous volumes as well",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Remove the containers of services that do not run",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose rm"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let remove = Remove {
        services: matches.args.clone(),
        stop: matches.on("stop"),
        volumes: matches.on("volumes"),
    };
    if !matches.on("force") && !cli.group.on("dry-run") {
        let subject = project::subject(cli)?;
        let mut found = containers::of(cli, &subject, &matches.args)?;
        found.retain(|container| remove.stop || !container.state.runs());
        if found.is_empty() {
            cli.complain("No stopped containers")?;
            return Ok(0);
        }
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        if !confirm(
            cli,
            &format!("Going to remove {}. Are you sure?", names.join(", ")),
        )? {
            return Ok(0);
        }
    }
    let plan = act(cli, "Removing", |name, application, facts| {
        plan::remove(name, application, facts, &remove)
    })?;
    if plan.is_empty() {
        cli.complain("No stopped containers")?;
    }
    Ok(0)
}
