//! `compose stats`: what the containers of a project use.

use super::{containers, events, project};
use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::container::stats;
use crate::error::Result;

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE]",
    about: "Show what the containers of a project use, live",
    flags: &[stats::FLAGS],
    arity: Arity::AtMost(1),
    complete: &[Complete::Services],
    ..command(&["compose stats"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let subject = project::subject(cli)?;
    let mut filters = events::of_project(&subject.name);
    if let Some(service) = matches.args.first() {
        let found = containers::all(cli, &subject)?;
        containers::check(&subject, &found, &matches.args)?;
        let label = onggi_compose::labels::SERVICE;
        filters.add("label", format!("{label}={service}"));
    }
    stats::show(cli, matches, &[], filters)
}
