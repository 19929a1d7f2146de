//! `compose cp`: files into and out of the containers of a service.

use super::containers::{self, Among};
use super::port::INDEX;
use super::project;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::cli::is_terminal;
use crate::command::{Arity, Command, command};
use crate::container::cp::{HOW, Way, asked, transfer};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(None, "all", "Copy into the containers of run as well"),
    INDEX,
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] SERVICE:SRC_PATH DEST_PATH|-\n\t{program} compose cp [OPTIONS] SRC_PATH|- SERVICE:DEST_PATH",
    about: "Copy files into and out of the containers of a service",
    flags: &[HOW, FLAGS],
    arity: Arity::Exactly(2),
    complete: &[Complete::Files, Complete::Files],
    ..command(&["compose cp"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let quiet = !is_terminal(std::io::stdout());
    let (way, copy) = asked(matches, quiet)?;
    project::not_dry(cli, "cp")?;
    let subject = project::subject(cli)?;
    let service = copy.container.clone();
    let index = matches.int("index").unwrap_or(0);
    let targets = match (way, index) {
        (Way::To, 0) => {
            let mut found = containers::all(cli, &subject)?;
            containers::check(&subject, &found, std::slice::from_ref(&service))?;
            found.retain(|one| one.service == service && (matches.on("all") || !one.oneoff));
            found
        }
        _ => vec![containers::one(cli, &subject, &service, index, Among::All)?],
    };
    if targets.is_empty() {
        return Err(Error::new(format!("service {service:?} has no container")));
    }
    if targets.len() > 1 && copy.source == "-" {
        return Err(Error::new(format!(
            "standard input can be read once, and service {service:?} has {} containers: name one with --index",
            targets.len()
        )));
    }
    for target in targets {
        let mut copy = copy.clone();
        copy.container = target.name;
        transfer(cli, way, &copy)?;
    }
    Ok(0)
}
