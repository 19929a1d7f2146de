//! `network ls`: lists networks.

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::columns::network::{COLUMNS, DEFAULT, RAW};
use crate::columns::volume::by_name;
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
        "Show only what fits (\"driver=bridge\")",
    )
    .checked(check::filter),
    value(None, "format", "string", FORMAT_HELP),
    switch(None, "no-trunc", "Show whole IDs"),
    switch(Some('q'), "quiet", "Show IDs only"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "List networks",
    flags: &[FLAGS],
    arity: Arity::None,
    ..command(&["network ls", "network list"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let quiet = matches.on("quiet");
    let mut format = matches.text("format").to_owned();
    if format.is_empty() && !quiet {
        format.clone_from(&cli.settings.file.networks_format);
    }
    match format.as_str() {
        "" | "table" if quiet => format = "{{.ID}}".to_owned(),
        "raw" if quiet => format = "network_id: {{.ID}}".to_owned(),
        _ => {}
    }
    let client = cli.client()?;
    let mut found = cli.block_on(client.network_list(&filters(matches)))??;
    found.sort_by(|a, b| by_name(&a.network.name, &b.network.name));
    let list = List {
        columns: COLUMNS,
        type_name: "*network.networkContext",
        default: DEFAULT.to_owned(),
        raw: Some(RAW.to_owned()),
        options: &Options {
            no_trunc: matches.on("no-trunc"),
            ..Options::default()
        },
    };
    let text = list.render(&format, &found)?;
    cli.print(&text)?;
    Ok(0)
}
