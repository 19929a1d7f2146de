//! `help [COMMAND]`.

use crate::Cli;
use crate::args::help;
use crate::args::{Matches, Positionals};
use crate::command::{Command, Found, TABLE, command, find};
use crate::error::{Error, Result};

pub(crate) const COMMAND: Command = Command {
    usage: "[COMMAND]",
    about: "Show the help of a command",
    positionals: Positionals::Last,
    arity: crate::command::Arity::AtLeast(0),
    hidden: true,
    ..command(&["help"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let page = page(&cli.program, &matches.args)
        .ok_or_else(|| Error::new(format!("unknown help topic: {}", matches.args.join(" "))))?;
    cli.print(&page)?;
    Ok(0)
}

/// The help of what `words` name, or nothing when there is no such command.
pub(crate) fn page(program: &str, words: &[String]) -> Option<String> {
    let width = help::width();
    if words.is_empty() {
        return Some(help::root(program, TABLE, crate::program::GLOBALS, width));
    }
    match find(words) {
        Found::Command(command, path, _) => Some(help::command(program, &path, command, width)),
        Found::Group(group) => Some(help::group(program, group)),
        Found::Unknown(_) => None,
    }
}
