//! `network prune`: removes networks that no container is in.

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch};
use crate::command::{Arity, Command, command};
use crate::confirm::confirm;
use crate::container::ls::filters;
use crate::error::Result;
use crate::system::prune::removed;

const FLAGS: &[Flag] = &[
    list(
        None,
        "filter",
        "filter",
        "Remove only what fits (\"label=KEY=VALUE\", \"until=TIME\")",
    )
    .checked(check::filter),
    switch(Some('f'), "force", "Do not ask"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Remove networks that no container is in",
    flags: &[FLAGS],
    arity: Arity::None,
    ..command(&["network prune"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    const WARNING: &str = "WARNING! This will remove all custom networks not used by at least one container.\n\
                           Are you sure you want to continue?";
    if !matches.on("force") && !confirm(cli, WARNING)? {
        return Ok(0);
    }
    let client = cli.client()?;
    let answer = cli.block_on(client.prune("networks", &filters(matches), false))??;
    cli.print(&removed(&answer))?;
    Ok(0)
}
