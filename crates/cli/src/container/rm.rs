//! `rm`: removes containers.

use onggi_client::container::Remove;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(
        Some('f'),
        "force",
        "Kill the container if it runs; one that is not there is fine",
    ),
    switch(Some('l'), "link", "Remove the link of this name"),
    switch(
        Some('v'),
        "volumes",
        "Remove the container's anonymous volumes, too",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Remove containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Containers],
    ..command(&["container rm", "container remove", "rm"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let remove = Remove {
        force: matches.on("force"),
        volumes: matches.on("volumes"),
        link: matches.on("link"),
    };
    super::each(cli, &matches.args, |cli, name| {
        let name = name.trim_matches('/');
        if name.is_empty() {
            return Err(Error::new("Container name cannot be empty"));
        }
        match cli.block_on(client.container_remove(name, remove))? {
            Ok(()) => Ok(Some(name.to_owned())),
            // With -f it is enough that it is gone; that is told, and no failure.
            Err(error) if remove.force && error.is_not_found() => {
                cli.complain(&error.to_string())?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    })
}
