//! `rename`: gives a container another name.

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(crate) const COMMAND: Command = Command {
    usage: "CONTAINER NEW_NAME",
    about: "Give a container another name",
    arity: Arity::Exactly(2),
    complete: &[Complete::Containers, Complete::Nothing],
    ..command(&["container rename", "rename"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let (old, new) = (matches.args[0].trim(), matches.args[1].trim());
    if old.is_empty() || new.is_empty() {
        return Err(Error::new("Error: Neither old nor new names may be empty"));
    }
    let client = cli.client()?;
    if let Err(error) = cli.block_on(client.container_rename(old, new))? {
        cli.complain(&error.to_string())?;
        return Err(Error::new(format!(
            "Error: failed to rename container named {old}"
        )));
    }
    Ok(0)
}
