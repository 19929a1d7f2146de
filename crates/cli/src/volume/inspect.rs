//! `volume inspect`.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::system::inspect::{FORMAT_HELP, Object, inspect};

const FLAGS: &[Flag] = &[value(Some('f'), "format", "string", FORMAT_HELP)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Show everything about volumes",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Volumes],
    ..command(&["volume inspect"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    inspect(cli, matches.text("format"), &matches.args, |cli, name| {
        Ok(Object::volume(
            cli.block_on(client.object("volumes", name))??,
        ))
    })
}
