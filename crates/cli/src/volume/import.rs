//! `volume import`: the files of a volume from a tar. Docker has no such command.

use std::fs::File;

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::args::{Flag, value};
use crate::cli::is_terminal;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result, path_error};
use crate::stream::stdin;

const FLAGS: &[Flag] = &[value(
    Some('i'),
    "input",
    "string",
    "Read from a file instead of STDIN",
)
.completed(Complete::Files)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] VOLUME",
    about: "Fill an empty volume, or one made for it, from a tar",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Volumes],
    ..command(&["volume import"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let body = match matches.text("input") {
        "" if is_terminal(std::io::stdin()) => {
            return Err(Error::new(
                "refusing to read a tar from a terminal. Use the -i flag or redirect",
            ));
        }
        "" => stdin::body(std::io::stdin()),
        path => {
            let file = File::open(path).map_err(|error| path_error("open", path, &error))?;
            stdin::body(file)
        }
    };
    let client = cli.client()?;
    let volume = cli.block_on(client.volume_import(&matches.args[0], body))??;
    cli.line(&volume.name)?;
    Ok(0)
}
