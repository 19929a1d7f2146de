//! `compose attach`: our terminal to a running container of a service.

use super::containers::{self, Among};
use super::port::INDEX;
use super::project;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::container::attach::attach;
use crate::error::Result;

const FLAGS: &[Flag] = &[
    value(
        None,
        "detach-keys",
        "string",
        "Keys that detach from the container",
    ),
    INDEX,
    switch(None, "no-stdin", "Do not pass standard input on"),
    switch(None, "sig-proxy", "Pass signals on to the container").default("true"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] SERVICE",
    about: "Attach standard input, output and error to a running container of a service",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Services],
    ..command(&["compose attach"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let subject = project::subject(cli)?;
    let index = matches.int("index").unwrap_or(0);
    let service = &matches.args[0];
    let container = containers::one(cli, &subject, service, index, Among::Running)?;
    let client = cli.client()?;
    let keys = cli.detach_keys(matches.text("detach-keys"));
    let stdin = !matches.on("no-stdin");
    let proxy = matches.on_or("sig-proxy", true);
    cli.block_on(attach(&client, &container.id, stdin, proxy, keys))?
}
