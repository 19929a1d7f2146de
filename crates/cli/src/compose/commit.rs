//! `compose commit`: an image of a service's container.

use super::containers::{self, Among};
use super::port::INDEX;
use super::project;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches};
use crate::command::{Arity, Command, command};
use crate::container::commit;
use crate::error::Result;

const FLAGS: &[Flag] = &[INDEX];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] SERVICE [REPOSITORY[:TAG]]",
    about: "Make an image of a service's container and its changes",
    flags: &[commit::FLAGS, FLAGS],
    arity: Arity::Between(1, 2),
    complete: &[Complete::Services, Complete::Images],
    ..command(&["compose commit"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let commit = commit::asked(matches)?;
    project::not_dry(cli, "commit")?;
    let subject = project::subject(cli)?;
    let index = matches.int("index").unwrap_or(0);
    let container = containers::one(cli, &subject, &matches.args[0], index, Among::All)?;
    let client = cli.client()?;
    let id = cli.block_on(client.container_commit(&container.id, &commit))??;
    cli.line(&id)?;
    Ok(0)
}
