//! `network inspect`.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::network::exposure::{self, EXPOSURE};
use crate::network::named;
use crate::system::inspect::{FORMAT_HELP, Object, inspect};

const FLAGS: &[Flag] = &[
    EXPOSURE,
    value(Some('f'), "format", "string", FORMAT_HELP),
    switch(
        Some('v'),
        "verbose",
        "Show the services of a swarm's network as well",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    about: "Show everything about networks",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Networks],
    ..command(&["network inspect"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    if matches.on("exposure") {
        let mut found = Vec::new();
        for name in &matches.args {
            let name = named("network", name)?;
            found.push(cli.block_on(client.network_exposure(name))??);
        }
        return exposure::print(cli, matches.text("format"), &found);
    }
    let verbose = matches.on("verbose");
    inspect(cli, matches.text("format"), &matches.args, |cli, name| {
        let name = named("network", name)?;
        Ok(Object::network(
            cli.block_on(client.network_inspect(name, verbose))??,
        ))
    })
}
