//! `volume rename`: another name for a volume. Docker has no such command.

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::Result;

pub(crate) const COMMAND: Command = Command {
    usage: "VOLUME NEW_NAME",
    about: "Give a volume that no container has another name",
    arity: Arity::Exactly(2),
    complete: &[Complete::Volumes, Complete::Nothing],
    ..command(&["volume rename"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let (old, new) = (matches.args[0].as_str(), matches.args[1].as_str());
    cli.block_on(client.volume_rename(old, new))??;
    Ok(0)
}
