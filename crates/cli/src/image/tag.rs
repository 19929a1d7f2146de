//! `tag`: gives an image a further name.

use onggi_model::ImageRef;

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(crate) const COMMAND: Command = Command {
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Give an image a further name",
    arity: Arity::Exactly(2),
    complete: &[Complete::Images],
    ..command(&["image tag", "tag"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let (source, target) = (&matches.args[0], &matches.args[1]);
    ImageRef::parse(source).map_err(|error| {
        Error::new(format!(
            "Error parsing reference: {} is not a valid repository/tag: {error}",
            crate::quote(source)
        ))
    })?;
    let reference = ImageRef::parse(target).map_err(|error| {
        Error::new(format!(
            "Error parsing reference: {} is not a valid repository/tag: {error}",
            crate::quote(target)
        ))
    })?;
    if reference.digest().is_some() {
        return Err(Error::new(
            "refusing to create a tag with a digest reference",
        ));
    }
    let client = cli.client()?;
    let tag = reference.tag().unwrap_or("latest").to_owned();
    cli.block_on(client.image_tag(source, &reference.familiar_name(), &tag))??;
    Ok(0)
}
