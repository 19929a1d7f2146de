//! `restart`: stop containers and start them again.

use super::words::SIGNALS;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    value(
        Some('s'),
        "signal",
        "string",
        "Signal that asks the container to end",
    )
    .completed(Complete::Words(SIGNALS)),
    value(None, "time", "int", "Seconds until the container is killed")
        .checked(check::int)
        .hidden(),
    value(
        Some('t'),
        "timeout",
        "int",
        "Seconds until the container is killed",
    )
    .checked(check::int),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Stop containers and start them again",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Containers],
    ..command(&["container restart", "restart"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    if matches.given("time") && matches.given("timeout") {
        return Err(Error::new(
            "conflicting options: cannot specify both --timeout and --time",
        ));
    }
    let client = cli.client()?;
    let signal = matches.text("signal").to_owned();
    if matches.given("time") {
        cli.line("Flag --time has been deprecated, use --timeout instead")?;
    }
    let timeout = matches.int("timeout").or_else(|| matches.int("time"));
    super::each(cli, &matches.args, |cli, name| {
        cli.block_on(client.container_restart(name, &signal, timeout))??;
        Ok(Some(name.to_owned()))
    })
}
