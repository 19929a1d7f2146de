//! `ps`: lists containers.

use onggi_api::container::Summary;
use onggi_client::container::List as Wanted;
use onggi_model::Filters;

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::columns::container::{COLUMNS, DEFAULT, RAW};
use crate::command::{Command, command};
use crate::error::Result;
use crate::format::List;
use crate::format::rows::Options;

/// How `--format` is explained wherever there are tables.
pub(crate) const FORMAT_HELP: &str = "How to print:\n'table':            a table with headers (default)\n'table TEMPLATE':   a table by a Go template\n'json':             JSON, one object a line\n'TEMPLATE':         a Go template for each line";

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Show all containers, not only those that run",
    ),
    list(
        Some('f'),
        "filter",
        "filter",
        "Show only what fits (name=value)",
    )
    .checked(check::filter),
    value(None, "format", "string", FORMAT_HELP),
    value(
        Some('n'),
        "last",
        "int",
        "Show the newest so many, whether they run or not",
    )
    .checked(check::int)
    .default("-1"),
    switch(
        Some('l'),
        "latest",
        "Show the newest one, whether it runs or not",
    ),
    switch(None, "no-trunc", "Show everything at full length"),
    switch(Some('q'), "quiet", "Show IDs only"),
    switch(
        Some('s'),
        "size",
        "Show sizes, which takes time to find out",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "List containers",
    flags: &[FLAGS],
    common: Some(2),
    ..command(
        &["container ls", "container list", "container ps", "ps"],
        run,
    )
};

/// `KEY=VALUE`s as the API wants them.
pub(crate) fn filters(matches: &Matches) -> Filters {
    let mut filters = Filters::default();
    for text in matches.all("filter") {
        if let Some((key, value)) = text.split_once('=') {
            filters.add(key.trim().to_lowercase(), value.trim());
        }
    }
    filters
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let options = Options {
        no_trunc: matches.on("no-trunc"),
        ..Options::default()
    };
    let quiet = matches.on("quiet");
    let mut format = matches.text("format").to_owned();
    let mut wanted = Wanted {
        all: matches.on("all"),
        limit: matches.int("last").unwrap_or(-1),
        size: matches.on("size"),
        filters: filters(matches),
    };
    if matches.on("latest") && wanted.limit == -1 {
        wanted.limit = 1;
    }
    if wanted.limit > 0 {
        wanted.all = true;
    }
    let mut rows = List {
        columns: COLUMNS,
        type_name: "*formatter.ContainerContext",
        default: DEFAULT.to_owned(),
        raw: Some(RAW.to_owned()),
        options: &options,
    };
    if !format.is_empty() {
        let plain = matches!(format.as_str(), "json" | "table" | "raw");
        let sizes = rows.check(&format, "Size", &Summary::default())? && !plain;
        if !quiet && !matches.given("size") && sizes {
            wanted.size = true;
        }
    }
    if quiet && !format.is_empty() {
        cli.complain(
            "WARNING: Ignoring custom format, because both --format and --quiet are set.",
        )?;
    }
    if format.is_empty() {
        format = cli.settings.file.ps_format.clone();
    }
    if quiet {
        format = if format == "raw" {
            "container_id: {{.ID}}"
        } else {
            "{{.ID}}"
        }
        .to_owned();
    }
    let client = cli.client()?;
    let containers = cli.block_on(client.container_list(&wanted))??;
    if matches.on("size") {
        rows.default.push_str("\t{{.Size}}");
        rows.raw = Some(format!("{RAW}size: {{{{.Size}}}}\n"));
    }
    let text = rows.render(&format, &containers)?;
    cli.print(&text)?;
    Ok(0)
}
