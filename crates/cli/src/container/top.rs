//! `top`: the processes of a container.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Matches, Positionals};
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::format::table::{Layout, align};

/// The columns of `top` are wider than those of lists.
const LAYOUT: Layout = Layout {
    least: 20,
    padding: 3,
};

pub(crate) const COMMAND: Command = Command {
    usage: "CONTAINER [ps OPTIONS]",
    about: "Show the processes of a container",
    positionals: Positionals::Last,
    arity: Arity::AtLeast(1),
    complete: &[Complete::Running, Complete::Nothing],
    ..command(&["container top", "top"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let (name, arguments) = match matches.args.split_first() {
        Some((name, rest)) => (name.as_str(), rest.join(" ")),
        None => ("", String::new()),
    };
    let answer = cli.block_on(client.container_top(name, &arguments))??;
    let mut text = answer.titles.unwrap_or_default().join("\t");
    text.push('\n');
    for process in answer.processes.unwrap_or_default() {
        text.push_str(&process.join("\t"));
        text.push('\n');
    }
    cli.print(&align(&text, LAYOUT))?;
    Ok(0)
}
