//! `export`: the root file system of a container as a tar.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::stream::archive;

const FLAGS: &[Flag] = &[value(
    Some('o'),
    "output",
    "string",
    "Write to a file instead of STDOUT",
)
.completed(Complete::Files)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER",
    about: "Write the file system of a container as a tar",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Containers],
    ..command(&["container export", "export"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let output = matches.text("output");
    archive::check(output, "failed to export container")?;
    let client = cli.client()?;
    cli.block_on(async {
        let response = client.container_export(&matches.args[0]).await?;
        archive::write(response, output).await
    })??;
    Ok(0)
}
