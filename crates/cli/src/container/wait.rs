//! `wait`: blocks until containers end, and prints their exit codes.

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(crate) const COMMAND: Command = Command {
    usage: "CONTAINER [CONTAINER...]",
    about: "Wait until containers end, then print their exit codes",
    arity: Arity::AtLeast(1),
    complete: &[Complete::Running],
    ..command(&["container wait", "wait"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    super::each(cli, &matches.args, |cli, name| {
        let status = cli.block_on(client.container_wait_exit(name))??;
        if let Some(error) = status.error.filter(|error| !error.message.is_empty()) {
            return Err(Error::new(error.message));
        }
        Ok(Some(status.status_code.to_string()))
    })
}
