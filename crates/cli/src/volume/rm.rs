//! `volume rm`: removes volumes.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::Result;

const FLAGS: &[Flag] = &[switch(
    Some('f'),
    "force",
    "A volume that is not there is fine",
)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Remove volumes that no container uses",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Volumes],
    ..command(&["volume rm", "volume remove"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let force = matches.on("force");
    crate::container::each(cli, &matches.args, |cli, name| {
        cli.block_on(client.volume_remove(name, force))??;
        Ok(Some(name.to_owned()))
    })
}
