//! `compose export`: the root file system of a service's container as a tar.

use super::containers::{self, Among};
use super::port::INDEX;
use super::project;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::stream::archive;

const FLAGS: &[Flag] = &[
    INDEX,
    value(
        Some('o'),
        "output",
        "string",
        "Write to a file instead of STDOUT",
    )
    .completed(Complete::Files),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] SERVICE",
    about: "Write the file system of a service's container as a tar",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Services],
    ..command(&["compose export"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let output = matches.text("output");
    archive::check(output, "failed to export container")?;
    let subject = project::subject(cli)?;
    let index = matches.int("index").unwrap_or(0);
    let container = containers::one(cli, &subject, &matches.args[0], index, Among::All)?;
    let client = cli.client()?;
    cli.block_on(async {
        let response = client.container_export(&container.id).await?;
        archive::write(response, output).await
    })??;
    Ok(0)
}
