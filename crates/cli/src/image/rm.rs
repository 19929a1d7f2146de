//! `rmi`: removes images.

use onggi_client::image::Remove;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, list, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(
        Some('f'),
        "force",
        "Remove the image though it is in use or has several names",
    ),
    switch(None, "no-prune", "Keep parents that have no name"),
    list(
        None,
        "platform",
        "strings",
        "Remove the image for this platform only (linux/amd64)",
    )
    .since(1, 50)
    .completed(Complete::Words(crate::container::words::PLATFORMS)),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Remove images",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Images],
    ..command(&["image rm", "image remove", "rmi"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let force = matches.on("force");
    let platforms = matches
        .all("platform")
        .flat_map(|text| text.split(','))
        .map(super::platform)
        .collect::<Result<Vec<_>>>()?;
    let remove = Remove {
        force,
        no_prune: matches.on("no-prune"),
        platforms,
    };
    let client = cli.client()?;
    let mut errors = Vec::new();
    let mut fatal = false;
    for name in &matches.args {
        match cli.block_on(client.image_remove(name, &remove))? {
            Ok(items) => {
                for item in items {
                    if item.deleted.is_empty() {
                        cli.line(&format!("Untagged: {}", item.untagged))?;
                    } else {
                        cli.line(&format!("Deleted: {}", item.deleted))?;
                    }
                }
            }
            Err(error) => {
                fatal |= !error.is_not_found();
                errors.push(error.to_string());
            }
        }
    }
    match errors {
        errors if errors.is_empty() => Ok(0),
        // With -f it is enough that they are gone.
        errors if force && !fatal => {
            cli.complain(&errors.join("\n"))?;
            Ok(0)
        }
        errors => Err(Error::new(errors.join("\n"))),
    }
}
