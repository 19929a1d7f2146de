//! `compose kill`: sends a signal to the containers of a project.

use super::each::{Words, each};
use super::{containers, project};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::container::words::SIGNALS;
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(
        None,
        "remove-orphans",
        "Also kill containers of services that the files do not know",
    ),
    value(Some('s'), "signal", "string", "Signal to send")
        .default("\"SIGKILL\"")
        .completed(Complete::Words(SIGNALS)),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Kill the containers of services, or send them a signal",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose kill"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let subject = project::subject(cli)?;
    let orphans = matches.on("remove-orphans");
    if orphans && subject.project.is_none() {
        return Err(Error::new(
            "--remove-orphans: which containers are orphans is only known with the project's files: name them with -f",
        ));
    }
    let mut found = containers::of(cli, &subject, &matches.args)?;
    found.retain(|container| {
        let known = subject.project.as_ref().is_none_or(|project| {
            project.service(&container.service).is_some()
                || project.disabled.has(&container.service)
        });
        container.state.runs() && (known || orphans || matches.args.contains(&container.service))
    });
    if found.is_empty() {
        cli.complain("no container to kill")?;
        return Ok(0);
    }
    let signal = match matches.text("signal") {
        "" => "SIGKILL".to_owned(),
        signal => signal.to_owned(),
    };
    let words = Words {
        working: "Killing",
        done: "Killed",
    };
    each(cli, found, words, |client, container| {
        let signal = signal.clone();
        async move { client.container_kill(&container.id, &signal).await }
    })?;
    Ok(0)
}
