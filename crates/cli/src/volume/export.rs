//! `volume export`: the files of a volume as a tar. Docker has no such command.

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
    usage: "[OPTIONS] VOLUME",
    about: "Write the files of a volume as a tar, also while containers use it",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Volumes],
    ..command(&["volume export"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let output = matches.text("output");
    archive::check(output, "failed to export volume")?;
    let client = cli.client()?;
    cli.block_on(async {
        let response = client.volume_export(&matches.args[0]).await?;
        archive::write(response, output).await
    })??;
    Ok(0)
}
