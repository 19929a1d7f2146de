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
use crate::stream::progress::Show;

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
    switch(None, "tree", "Show the platforms of each image as a tree").since(1, 47),
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
        return tree(cli, matches);
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

/// `--tree`; what is about tables does not go with it, in Docker's words.
fn tree(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let others = [
        (matches.on("quiet"), "--quiet"),
        (matches.on("no-trunc"), "--no-trunc"),
        (matches.on("digests"), "--show-digest"),
        (!matches.text("format").is_empty(), "--format"),
    ];
    if let Some((_, other)) = others.iter().find(|(given, _)| *given) {
        return Err(Error::new(format!(
            "{other} is not yet supported with --tree"
        )));
    }
    let mut filters = filters(matches);
    if let Some(reference) = matches.args.first() {
        filters.add("reference", reference);
    }
    let client = cli.client()?;
    let images = cli.block_on(client.image_list_with(matches.on("all"), &filters, true))??;
    let terminal = match Show::on(std::io::stdout()) {
        Show::Terminal(width) => Some(width),
        Show::Plain | Show::Nothing => None,
    };
    let page = super::tree::page(&images, matches.on("all"), terminal);
    cli.print(&page)?;
    Ok(0)
}
