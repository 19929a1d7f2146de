//! `kill`: sends a signal.

use super::words::SIGNALS;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;

const FLAGS: &[Flag] = &[value(
    Some('s'),
    "signal",
    "string",
    "Signal to send (KILL if not given)",
)
.completed(Complete::Words(SIGNALS))];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Kill running containers, or send them a signal",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Running],
    ..command(&["container kill", "kill"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let signal = matches.text("signal").to_owned();
    super::each(cli, &matches.args, |cli, name| {
        cli.block_on(client.container_kill(name, &signal))??;
        Ok(Some(name.to_owned()))
    })
}
