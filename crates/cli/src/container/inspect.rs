//! `container inspect`.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::system::inspect::{FORMAT_HELP, Object, inspect};

const FLAGS: &[Flag] = &[
    crate::recipe::AS,
    value(Some('f'), "format", "string", FORMAT_HELP),
    switch(
        Some('s'),
        "size",
        "Show sizes, which takes time to find out",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Show everything about containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Containers],
    ..command(&["container inspect"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    if matches.given("as") {
        return crate::recipe::show(cli, matches);
    }
    let client = cli.client()?;
    let size = matches.on("size");
    inspect(cli, matches.text("format"), &matches.args, |cli, name| {
        let json = cli.block_on(client.container_inspect(name, size))??;
        Ok(Object::container(json))
    })
}
