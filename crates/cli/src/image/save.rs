//! `save`: images as a tar.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::stream::archive;

const FLAGS: &[Flag] = &[
    value(
        Some('o'),
        "output",
        "string",
        "Write to a file instead of STDOUT",
    )
    .completed(Complete::Files),
    value(
        None,
        "platform",
        "string",
        "Save the image of this platform only (linux/amd64)",
    )
    .since(1, 48)
    .completed(Complete::Words(crate::container::words::PLATFORMS)),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Write images as a tar",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Images],
    ..command(&["image save", "save"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let output = matches.text("output");
    archive::check(output, "failed to save image")?;
    let platform = super::platform(matches.text("platform"))?;
    let client = cli.client()?;
    cli.block_on(async {
        let response = client.image_save(&matches.args, &platform).await?;
        archive::write(response, output).await
    })??;
    Ok(0)
}
