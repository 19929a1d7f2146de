//! `volume update`: of volumes of a swarm alone; Docker's command refuses all others itself.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[value(
    None,
    "availability",
    "string",
    "Availability of a volume of a swarm (refused: there is no swarm)",
)
.default("\"active\"")
.since(1, 42)
.completed(Complete::Words(&["active", "pause", "drain"]))];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [VOLUME]",
    about: "Change a volume of a swarm (refused: there is no swarm)",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Volumes],
    ..command(&["volume update"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    // Whether there is such a volume is told first.
    cli.block_on(client.object("volumes", &matches.args[0]))??;
    Err(Error::new("can only update cluster volumes"))
}
