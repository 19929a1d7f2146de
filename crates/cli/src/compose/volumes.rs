//! `compose volumes`: the volumes of a project.

use onggi_model::Filters;

use super::{containers, project};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::columns::volume::{COLUMNS, DEFAULT, RAW, by_name};
use crate::command::{Arity, Command, command};
use crate::container::ls::FORMAT_HELP;
use crate::error::Result;
use crate::format::List;
use crate::format::rows::Options;

const FLAGS: &[Flag] = &[
    value(None, "format", "string", FORMAT_HELP).default("\"table\""),
    switch(Some('q'), "quiet", "Show names only"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "List the volumes of a project",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose volumes"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let subject = project::subject(cli)?;
    let client = cli.client()?;
    let mut filters = Filters::default();
    filters.add(
        "label",
        format!("{}={}", onggi_compose::labels::PROJECT, subject.name),
    );
    let mut volumes = cli.block_on(client.volume_list(&filters))??.volumes;
    if !matches.args.is_empty() {
        // Those that containers of these services have.
        let found = containers::of(cli, &subject, &matches.args)?;
        let used = |name: &str| {
            let mut mounts = found.iter().flat_map(|container| &container.summary.mounts);
            mounts.any(|mount| mount.name == name)
        };
        volumes.retain(|volume| used(&volume.name));
    }
    volumes.sort_by(|left, right| by_name(&left.name, &right.name));
    let format = match matches.text("format") {
        "" | "table" if matches.on("quiet") => "{{.Name}}",
        format => format,
    };
    let list = List {
        columns: COLUMNS,
        type_name: "*formatter.volumeContext",
        default: DEFAULT.to_owned(),
        raw: Some(RAW.to_owned()),
        options: &Options::default(),
    };
    let text = list.render(format, &volumes)?;
    cli.print(&text)?;
    Ok(0)
}
