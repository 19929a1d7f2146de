//! `diff`: what a container changed in its root file system.

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(crate) const COMMAND: Command = Command {
    usage: "CONTAINER",
    about: "Show what a container changed in its file system",
    arity: Arity::Exactly(1),
    complete: &[Complete::Containers],
    ..command(&["container diff", "diff"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let name = matches.args[0].as_str();
    if name.is_empty() {
        return Err(Error::new("Container name cannot be empty"));
    }
    let client = cli.client()?;
    let changes = cli.block_on(client.container_changes(name))??;
    for change in changes {
        let kind = match change.kind {
            0 => "C",
            1 => "A",
            2 => "D",
            _ => "?",
        };
        cli.line(&format!("{kind} {}", change.path))?;
    }
    Ok(0)
}
