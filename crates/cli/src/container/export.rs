//! `export`: the root file system of a container as a tar.

use std::io::Write;
use std::path::Path;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::cli::{is_terminal, pipe};
use crate::command::{Arity, Command, command};
use crate::container::cp::paths;
use crate::error::{Error, Result, path_error};

const FLAGS: &[Flag] = &[value(
    Some('o'),
    "output",
    "string",
    "Write to a file instead of STDOUT",
)
.completed(Complete::Files)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER",
    about: "Write the file system of a container as a tar",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Containers],
    ..command(&["container export", "export"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let output = matches.text("output").to_owned();
    if output.is_empty() && is_terminal(std::io::stdout()) {
        return Err(Error::new(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect",
        ));
    }
    if !output.is_empty() {
        let failed = |error: Error| {
            let message = error.message;
            Error::new(format!(
                "failed to export container: invalid output path: {message}"
            ))
        };
        let parent = paths::split_entry(&output).0;
        std::fs::metadata(&parent).map_err(|error| failed(path_error("stat", &parent, &error)))?;
    }
    let client = cli.client()?;
    let name = matches.args[0].clone();
    cli.block_on(async {
        let mut response = client.container_export(&name).await?;
        if output.is_empty() {
            let mut stdout = std::io::stdout();
            while let Some(chunk) = response.chunk().await? {
                stdout.write_all(&chunk).map_err(|error| pipe(&error))?;
            }
            stdout.flush().map_err(|error| pipe(&error))?;
            return Ok(0);
        }
        // Whole or not at all: under another name until it is complete.
        let partial = format!("{output}.onggi-{}", std::process::id());
        let written = async {
            let failed = |error: std::io::Error| path_error("write", &output, &error);
            let mut file = std::fs::File::create(&partial).map_err(failed)?;
            while let Some(chunk) = response.chunk().await? {
                file.write_all(&chunk).map_err(failed)?;
            }
            let special = Path::new(&output).exists() && !Path::new(&output).is_file();
            match special {
                true => Err(Error::new(format!("{output} is not a regular file"))),
                false => std::fs::rename(&partial, &output).map_err(failed),
            }
        }
        .await;
        if written.is_err() {
            // Nothing is left of what failed.
            let _ = std::fs::remove_file(&partial);
        }
        written.map(|()| 0)
    })?
}
