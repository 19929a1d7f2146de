//! `search`: repositories that a registry finds by a word.

use onggi_model::Filters;

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::columns::search::{COLUMNS, DEFAULT};
use crate::command::{Arity, Command, command};
use crate::container::ls::{FORMAT_HELP, filters};
use crate::error::Result;
use crate::format::List;
use crate::format::rows::Options;

const FLAGS: &[Flag] = &[
    list(
        Some('f'),
        "filter",
        "filter",
        "Show only what fits (is-official=true, stars=10)",
    )
    .checked(check::filter),
    value(None, "format", "string", FORMAT_HELP),
    value(None, "limit", "int", "How many are shown at most").checked(check::int),
    switch(None, "no-trunc", "Show everything at full length"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] TERM",
    about: "Search a registry, Docker Hub unless the term names another",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    common: Some(9),
    ..command(&["search"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let term = &matches.args[0];
    let filters: Filters = filters(matches);
    let limit = matches.int("limit").unwrap_or_default();
    let auth = cli.registry_auth(domain(term))?;
    let client = cli.client()?;
    let hits = cli.block_on(client.image_search(term, limit, &filters, &auth))??;
    let options = Options {
        no_trunc: matches.on("no-trunc"),
        ..Options::default()
    };
    let list = List {
        columns: COLUMNS,
        type_name: "*registry.searchContext",
        default: DEFAULT.to_owned(),
        raw: None,
        options: &options,
    };
    let text = list.render(matches.text("format"), &hits)?;
    cli.print(&text)?;
    Ok(0)
}

/// The registry that a term begins with, by its domain in a reference.
fn domain(term: &str) -> &str {
    match term.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "index.docker.io" => "docker.io",
            host => host,
        },
        _ => "docker.io",
    }
}
