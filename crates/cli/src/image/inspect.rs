//! `image inspect`.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::system::inspect::{FORMAT_HELP, Object, inspect};

const FLAGS: &[Flag] = &[
    value(Some('f'), "format", "string", FORMAT_HELP),
    value(
        None,
        "platform",
        "string",
        "Show the image for this platform (linux/amd64)",
    )
    .since(1, 49)
    .completed(Complete::Words(crate::container::words::PLATFORMS)),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Show everything about images",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Images],
    ..command(&["image inspect"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let platform = super::platform(matches.text("platform"))?;
    let client = cli.client()?;
    inspect(cli, matches.text("format"), &matches.args, |cli, name| {
        Ok(Object::image(
            cli.block_on(client.image_inspect(name, &platform))??,
        ))
    })
}
