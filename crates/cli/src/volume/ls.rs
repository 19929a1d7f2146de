//! `volume ls`: lists volumes.

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::columns::volume::{COLUMNS, DEFAULT, RAW, by_name};
use crate::command::{Arity, Command, command};
use crate::container::ls::{FORMAT_HELP, filters};
use crate::error::{Error, Result};
use crate::format::List;
use crate::format::rows::Options;

const FLAGS: &[Flag] = &[
    switch(
        None,
        "cluster",
        "Show the volumes of a swarm (refused: there is no swarm)",
    )
    .since(1, 42),
    list(
        Some('f'),
        "filter",
        "filter",
        "Show only what fits (dangling=true)",
    )
    .checked(check::filter),
    value(None, "format", "string", FORMAT_HELP),
    switch(Some('q'), "quiet", "Show names only"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "List volumes",
    flags: &[FLAGS],
    arity: Arity::None,
    ..command(&["volume ls", "volume list"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    if matches.on("cluster") {
        return Err(Error::new(
            "--cluster: volumes of a swarm are not there; leave it away to see those of this machine",
        ));
    }
    let quiet = matches.on("quiet");
    let mut format = matches.text("format").to_owned();
    if format.is_empty() && !quiet {
        format.clone_from(&cli.settings.file.volumes_format);
    }
    match format.as_str() {
        "" | "table" if quiet => format = "{{.Name}}".to_owned(),
        "raw" if quiet => format = "name: {{.Name}}".to_owned(),
        _ => {}
    }
    let client = cli.client()?;
    let mut found = cli.block_on(client.volume_list(&filters(matches)))??;
    found.volumes.sort_by(|a, b| by_name(&a.name, &b.name));
    let list = List {
        columns: COLUMNS,
        type_name: "*formatter.volumeContext",
        default: DEFAULT.to_owned(),
        raw: Some(RAW.to_owned()),
        options: &Options::default(),
    };
    let text = list.render(&format, &found.volumes)?;
    cli.print(&text)?;
    Ok(0)
}
