//! `images`: lists images.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::columns::image::{COLUMNS, DEFAULT, RAW, RAW_WITH_DIGESTS, WITH_DIGESTS, rows};
use crate::command::{Arity, Command, command};
use crate::container::ls::{FORMAT_HELP, filters};
use crate::error::{Error, Result};
use crate::format::List;
use crate::format::rows::Options;

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Show all images, with those that only others are made of",
    ),
    switch(None, "digests", "Show digests"),
    list(
        Some('f'),
        "filter",
        "filter",
        "Show only what fits (name=value)",
    )
    .checked(check::filter),
    value(None, "format", "string", FORMAT_HELP),
    switch(None, "no-trunc", "Show everything at full length"),
    switch(Some('q'), "quiet", "Show IDs only"),
    switch(
        None,
        "tree",
        "Show the platforms of each image as a tree (not supported yet: refused)",
    )
    .since(1, 47),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    about: "List images",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    complete: &[Complete::Images],
    common: Some(4),
    ..command(&["image ls", "image list", "images"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    if matches.on("tree") {
        return Err(Error::new("--tree is not supported yet"));
    }
    let mut filters = filters(matches);
    if let Some(reference) = matches.args.first() {
        filters.add("reference", reference);
    }
    let options = Options {
        no_trunc: matches.on("no-trunc"),
        digests: matches.on("digests"),
        ..Options::default()
    };
    let quiet = matches.on("quiet");
    let mut format = matches.text("format").to_owned();
    if format.is_empty() {
        format = if quiet {
            "table".to_owned()
        } else {
            cli.settings.file.images_format.clone()
        };
    }
    match format.as_str() {
        "table" if quiet => format = "{{.ID}}".to_owned(),
        "raw" if quiet => format = "image_id: {{.ID}}".to_owned(),
        _ => {}
    }
    let client = cli.client()?;
    let images = cli.block_on(client.image_list(matches.on("all"), &filters))??;
    let list = List {
        columns: COLUMNS,
        type_name: "*formatter.imageContext",
        default: if options.digests {
            WITH_DIGESTS
        } else {
            DEFAULT
        }
        .to_owned(),
        raw: Some(
            if options.digests {
                RAW_WITH_DIGESTS
            } else {
                RAW
            }
            .to_owned(),
        ),
        options: &options,
    };
    let rows: Vec<_> = images
        .iter()
        .flat_map(|image| rows(image, options.digests))
        .collect();
    let text = list.render(&format, &rows)?;
    cli.print(&text)?;
    Ok(0)
}
