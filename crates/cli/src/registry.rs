//! `onggi registry ...`: the registry we ship, which is a program of its own beside this one.

use std::os::unix::process::CommandExt as _;

use crate::args::Matches;
use crate::cli::Cli;
use crate::command::{Command, Group, command};
use crate::error::{Error, Result};

pub(crate) const GROUP: Group = Group {
    name: "registry",
    about: "Serve a registry",
    commands: &[&HTPASSWD, &SERVE],
    flags: &[],
};

const SERVE: Command = Command {
    usage: "[OPTIONS]",
    about: "Serve a registry for container images",
    ..command(&["registry serve"], elsewhere)
};

const HTPASSWD: Command = Command {
    usage: "USER",
    about: "Print a line for the registry's file of users; the password is read from standard input",
    ..command(&["registry htpasswd"], elsewhere)
};

/// Becomes `onggi-registry` when `args` are words for it; its options are its own.
pub(crate) fn passed_on(cli: &Cli, args: &[String]) -> Result<()> {
    let [group, word, ..] = args else {
        return Ok(());
    };
    let ours = |command: &&Command| command.name_in(GROUP.name) == word;
    if group != GROUP.name || !GROUP.commands.iter().any(ours) {
        return Ok(());
    }
    let program = crate::daemon::program(&cli.environment, "onggi-registry").ok_or_else(|| {
        Error::new("onggi-registry is neither beside this program nor in the PATH")
    })?;
    let error = std::process::Command::new(&program).args(&args[1..]).exec();
    Err(crate::error::path_error(
        "exec",
        &program.display().to_string(),
        &error,
    ))
}

/// Never called: see [`passed_on`].
fn elsewhere(_: &mut Cli, _: &Matches) -> Result<u8> {
    Err(Error::new("onggi-registry was not found"))
}
