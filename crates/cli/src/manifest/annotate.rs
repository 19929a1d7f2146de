//! `manifest annotate`: says what an image of a list is for.

use super::document::is_known;
use super::reference;
use super::store::Store;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, list, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    value(None, "arch", "string", "Architecture, in Go's words"),
    value(None, "os", "string", "Operating system, in Go's words"),
    list(
        None,
        "os-features",
        "strings",
        "What the operating system must have",
    ),
    value(
        None,
        "os-version",
        "string",
        "Version of the operating system",
    ),
    value(None, "variant", "string", "Variant of the architecture"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
    about: "Say what an image of a list is for",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    complete: &[Complete::Images],
    ..command(&["manifest annotate"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let (list, image) = (&matches.args[0], &matches.args[1]);
    let parse = |what: &str, text: &str| {
        reference(text).map_err(|error| {
            let why = error.message;
            Error::new(format!(
                "annotate: error parsing name for {what} {text}: {why}"
            ))
        })
    };
    let list_name = parse("manifest list", list)?;
    let image_name = parse("manifest", image)?;
    let store = Store::new(cli);
    let mut manifest = store.image(&list_name, &image_name)?.ok_or_else(|| {
        Error::new(format!(
            "manifest for image {image} does not exist in {list}"
        ))
    })?;
    let platform = manifest.descriptor.platform.get_or_insert_default();
    for (flag, field) in [
        ("os", &mut platform.os),
        ("arch", &mut platform.architecture),
        ("variant", &mut platform.variant),
        ("os-version", &mut platform.os_version),
    ] {
        let given = matches.text(flag);
        if !given.is_empty() {
            given.clone_into(field);
        }
    }
    let features = matches.all("os-features").flat_map(|text| text.split(','));
    for feature in features {
        if !platform.os_features.iter().any(|known| known == feature) {
            platform.os_features.push(feature.to_owned());
        }
    }
    if !is_known(&platform.os, &platform.architecture) {
        return Err(Error::new(format!(
            "manifest entry for image has unsupported os/arch combination: {}/{}",
            matches.text("os"),
            matches.text("arch")
        )));
    }
    store.save(&list_name, &image_name, &manifest)?;
    Ok(0)
}
