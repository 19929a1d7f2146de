//! `volume prune`: removes volumes that no container uses.

use std::io::BufRead as _;

use onggi_client::Version;
use onggi_model::units;

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch};
use crate::command::{Arity, Command, command};
use crate::container::ls::filters;
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Remove volumes with names, too, not only anonymous ones",
    )
    .since(1, 42),
    list(
        None,
        "filter",
        "filter",
        "Remove only what fits (label=name)",
    )
    .checked(check::filter),
    switch(Some('f'), "force", "Do not ask"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Remove volumes that no container uses",
    flags: &[FLAGS],
    arity: Arity::None,
    ..command(&["volume prune"], run)
};

/// From here on the daemon spares volumes with names unless told otherwise.
const SPARES_NAMES: Version = Version(1, 42);

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let mut filters = filters(matches);
    let client = cli.client()?;
    let spares = cli.block_on(client.version())?? >= SPARES_NAMES;
    if matches.on("all") {
        if filters.contains("all") {
            return Err(Error::new(
                "conflicting options: cannot specify both --all and --filter all=1",
            ));
        }
        filters.add("all", "true");
    }
    let which = match spares && !matches.on("all") {
        true => "anonymous local volumes",
        false => "all local volumes",
    };
    if !matches.on("force") {
        cli.print(&format!(
            "WARNING! This will remove {which} not used by at least one container.\n\
             Are you sure you want to continue? [y/N] "
        ))?;
        cli.flush()?;
        if !answered_yes() {
            return Ok(0);
        }
    }
    let report = cli.block_on(client.volume_prune(&filters))??;
    let deleted = report.volumes_deleted.unwrap_or_default();
    if !deleted.is_empty() {
        cli.print(&format!("Deleted Volumes:\n{}\n\n", deleted.join("\n")))?;
    }
    cli.print(&format!(
        "Total reclaimed space: {}\n",
        units::human_size(report.space_reclaimed as f64)
    ))?;
    Ok(0)
}

/// `y` or `Y`, as Docker; nothing is no.
fn answered_yes() -> bool {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok() && line.trim().eq_ignore_ascii_case("y")
}
