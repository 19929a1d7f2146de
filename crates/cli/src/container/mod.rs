//! Commands on containers, one file a verb.

pub(crate) mod attach;
pub(crate) mod commit;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod diff;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod flags; // the flags of run and create
pub(crate) mod inspect;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod pause;
pub(crate) mod port;
pub(crate) mod prune;
pub(crate) mod rename;
pub(crate) mod request; // from flags to the API's create request
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod top;
pub(crate) mod unpause;
pub(crate) mod update;
pub(crate) mod wait;
pub(crate) mod why; // why one ended
pub(crate) mod words; // words for completion

use crate::Cli;
use crate::command::{Command, Group};
use crate::error::{Error, Result};

/// `container`.
pub(crate) const GROUP: Group = Group {
    name: "container",
    about: "Manage containers",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 26] = [
    &attach::COMMAND,
    &commit::COMMAND,
    &cp::COMMAND,
    &create::COMMAND,
    &diff::COMMAND,
    &exec::COMMAND,
    &export::COMMAND,
    &inspect::COMMAND,
    &kill::COMMAND,
    &logs::COMMAND,
    &ls::COMMAND,
    &pause::COMMAND,
    &port::COMMAND,
    &prune::COMMAND,
    &rename::COMMAND,
    &restart::COMMAND,
    &rm::COMMAND,
    &run::COMMAND,
    &start::COMMAND,
    &stats::COMMAND,
    &stop::COMMAND,
    &top::COMMAND,
    &unpause::COMMAND,
    &update::COMMAND,
    &wait::COMMAND,
    &why::COMMAND,
];

/// Does one thing to each of several: prints what succeeded, then tells every error at once.
pub(crate) fn each(
    cli: &mut Cli,
    names: &[String],
    mut act: impl FnMut(&mut Cli, &str) -> Result<Option<String>>,
) -> Result<u8> {
    let mut errors = Vec::new();
    for name in names {
        match act(cli, name) {
            Ok(Some(line)) => {
                cli.line(&line)?;
                cli.flush()?;
            }
            Ok(None) => {}
            Err(error) => errors.push(error.message),
        }
    }
    if errors.is_empty() {
        Ok(0)
    } else {
        Err(Error::new(errors.join("\n")))
    }
}
