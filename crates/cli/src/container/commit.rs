//! `commit`: an image of a container.

use onggi_client::container::Commit;
use onggi_model::ImageRef;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, list, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(crate) const FLAGS: &[Flag] = &[
    value(
        Some('a'),
        "author",
        "string",
        "Who made it (\"Ann <ann@example.org>\")",
    ),
    list(
        Some('c'),
        "change",
        "list",
        "Dockerfile instruction to apply to the image",
    ),
    value(Some('m'), "message", "string", "Comment on the image"),
    switch(Some('p'), "pause", "Pause the container meanwhile").default("true"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    about: "Make an image of a container and its changes",
    flags: &[FLAGS],
    arity: Arity::Between(1, 2),
    complete: &[Complete::Containers, Complete::Images],
    ..command(&["container commit", "commit"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let commit = asked(matches)?;
    let client = cli.client()?;
    let id = cli.block_on(client.container_commit(&matches.args[0], &commit))??;
    cli.line(&id)?;
    Ok(0)
}

/// What the flags and the second argument ask for.
pub(crate) fn asked(matches: &Matches) -> Result<Commit> {
    let mut commit = Commit {
        comment: matches.text("message").to_owned(),
        author: matches.text("author").to_owned(),
        changes: matches.list("change"),
        no_pause: !matches.on_or("pause", true),
        ..Commit::default()
    };
    if let Some(name) = matches.args.get(1).filter(|name| !name.is_empty()) {
        let reference =
            ImageRef::parse_untagged(name).map_err(|error| Error::new(error.to_string()))?;
        if reference.digest().is_some() {
            return Err(Error::new(
                "refusing to create a tag with a digest reference",
            ));
        }
        commit.repository = reference.familiar_name();
        commit.tag = reference.tag().unwrap_or("latest").to_owned();
    }
    Ok(commit)
}
