//! `load`: reads images from a tar.

use std::fs::File;
use std::io::Write as _;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::cli::is_terminal;
use crate::command::{Command, command};
use crate::error::{Error, Result, path_error};
use crate::stream::progress::{self, Show};
use crate::stream::stdin;

const FLAGS: &[Flag] = &[
    value(
        Some('i'),
        "input",
        "string",
        "Read from this file instead of STDIN",
    )
    .completed(Complete::Files),
    value(
        None,
        "platform",
        "string",
        "Load the image for this platform only (linux/amd64)",
    )
    .since(1, 48)
    .completed(Complete::Words(crate::container::words::PLATFORMS)),
    switch(Some('q'), "quiet", "Do not show the progress"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Load images from a tar",
    flags: &[FLAGS],
    ..command(&["image load", "load"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let body = match matches.one("input").filter(|path| !path.is_empty()) {
        Some(path) => {
            let file = File::open(path).map_err(|error| path_error("open", path, &error))?;
            if file.metadata().is_ok_and(|there| there.is_dir()) {
                return Err(Error::new(format!("read {path}: is a directory")));
            }
            stdin::body(file)
        }
        None if is_terminal(std::io::stdin()) => {
            return Err(Error::new("requested load from stdin, but stdin is empty"));
        }
        None => stdin::body(std::io::stdin()),
    };
    let platform = super::platform(matches.text("platform"))?;
    let quiet = matches.on("quiet") || !is_terminal(std::io::stdout());
    let client = cli.client()?;
    cli.block_on(async {
        let mut response = client.image_load(body, quiet, &platform).await?;
        let mut out = std::io::stdout();
        if response
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"))
        {
            return progress::show(
                &mut response.values(),
                Show::on(std::io::stdout()),
                &mut out,
            )
            .await;
        }
        while let Some(chunk) = response.chunk().await? {
            out.write_all(&chunk)
                .map_err(|error| crate::cli::pipe(&error))?;
        }
        Ok::<(), Error>(())
    })??;
    Ok(0)
}
