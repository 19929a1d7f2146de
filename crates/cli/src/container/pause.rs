//! `pause`: freeze all processes of containers.

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::Result;

pub(crate) const COMMAND: Command = Command {
    usage: "CONTAINER [CONTAINER...]",
    about: "Freeze all processes of containers",
    arity: Arity::AtLeast(1),
    complete: &[Complete::Running],
    ..command(&["container pause", "pause"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    super::each(cli, &matches.args, |cli, name| {
        cli.block_on(client.container_pause(name))??;
        Ok(Some(name.to_owned()))
    })
}
