//! `manifest inspect`: shows an image's manifest, or a list.

use onggi_model::ImageRef;

use super::document::{self, ImageManifest};
use super::remote::{Found, Remote};
use super::store::{Store, unknown};
use super::{INSECURE, reference};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    INSECURE,
    switch(
        Some('v'),
        "verbose",
        "Show more: each image's platform and layers",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    about: "Show an image's manifest, or a list",
    flags: &[FLAGS],
    arity: Arity::Between(1, 2),
    complete: &[Complete::Images],
    ..command(&["manifest inspect"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let verbose = matches.on("verbose");
    let store = Store::new(cli);
    if let [list, image] = matches.args.as_slice() {
        let (image, list) = (reference(image)?, reference(list)?);
        let manifest = store.image(&list, &image)?.ok_or_else(|| unknown(&image))?;
        return show(cli, &manifest, verbose);
    }
    let name = reference(&matches.args[0])?;
    if let Some(images) = store.list(&name)? {
        return show_list(cli, &name, &images, verbose);
    }
    let remote = Remote::new(cli, &name, matches.on("insecure"))?;
    match cli.block_on(remote.find(&name))?? {
        Found::Image(image) => show(cli, &image, verbose),
        Found::List(images) => show_list(cli, &name, &images, verbose),
    }
}

fn show(cli: &mut Cli, image: &ImageManifest, verbose: bool) -> Result<u8> {
    let text = match verbose {
        true => document::indented(image, b"\t")?,
        false => document::reindented(&image.bytes()?)?,
    };
    cli.line(&text)?;
    Ok(0)
}

fn show_list(
    cli: &mut Cli,
    name: &ImageRef,
    images: &[ImageManifest],
    verbose: bool,
) -> Result<u8> {
    let text = match verbose {
        true => document::indented(&images, b"\t")?,
        false => {
            let (_, bytes) = document::list(name, images).map_err(|error| {
                let why = error.message;
                Error::new(format!("failed to assemble ManifestDescriptor: {why}"))
            })?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    cli.line(&text)?;
    Ok(0)
}
