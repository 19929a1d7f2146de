//! `manifest create`: begins a list of images.

use super::document::ImageManifest;
use super::remote::{Found, Remote};
use super::store::Store;
use super::{INSECURE, reference};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use onggi_model::ImageRef;

const FLAGS: &[Flag] = &[
    switch(Some('a'), "amend", "Add to a list that is there already"),
    INSECURE,
];

pub(crate) const COMMAND: Command = Command {
    usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
    about: "Begin a list of images, to annotate and push it",
    flags: &[FLAGS],
    arity: Arity::AtLeast(2),
    complete: &[Complete::Images],
    ..command(&["manifest create"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let name = &matches.args[0];
    let target = reference(name).map_err(|error| {
        let text = error.message;
        Error::new(format!(
            "error parsing name for manifest list {name}: {text}"
        ))
    })?;
    let store = Store::new(cli);
    if store.list(&target)?.is_some() && !matches.on("amend") {
        return Err(Error::new(
            "refusing to amend an existing manifest list with no --amend flag",
        ));
    }
    for name in &matches.args[1..] {
        let image = reference(name)?;
        let manifest = find(cli, &store, &target, &image, matches.on("insecure"))?;
        store.save(&target, &image, &manifest)?;
    }
    cli.line(&format!("Created manifest list {target}"))?;
    Ok(0)
}

/// An image from the list, or from its registry.
fn find(
    cli: &mut Cli,
    store: &Store,
    list: &ImageRef,
    image: &ImageRef,
    insecure: bool,
) -> Result<ImageManifest> {
    if let Some(kept) = store.image(list, image)? {
        return Ok(kept);
    }
    let remote = Remote::new(cli, image, insecure)?;
    match cli.block_on(remote.find(image))?? {
        Found::Image(found) => Ok(*found),
        Found::List(_) => Err(Error::new(format!("{image} is a manifest list"))),
    }
}
