//! `container prune`: removes all containers that do not run.

use onggi_model::{Filters, units};

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch};
use crate::command::{Command, command};
use crate::confirm::confirm;
use crate::error::Result;
use crate::system::prune::filters;

const FLAGS: &[Flag] = &[
    list(
        None,
        "filter",
        "filter",
        "Remove only what fits (until=TIME, label=NAME[=VALUE])",
    )
    .checked(check::filter),
    switch(Some('f'), "force", "Do not ask"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Remove all stopped containers",
    flags: &[FLAGS],
    ..command(&["container prune"], run)
};

const WARNING: &str = "WARNING! This will remove all stopped containers.\n\
                       Are you sure you want to continue?";

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let mut wanted = Filters::default();
    for (key, value) in filters(matches.list("filter"), &cli.settings.file.prune_filters) {
        wanted.add(key, value);
    }
    if !matches.on("force") && !confirm(cli, WARNING)? {
        // Nothing was done, as asked.
        return Ok(0);
    }
    let client = cli.client()?;
    let answer = cli.block_on(client.container_prune(&wanted))??;
    let gone = answer.containers_deleted.unwrap_or_default();
    if !gone.is_empty() {
        cli.line("Deleted Containers:")?;
        for id in &gone {
            cli.line(id)?;
        }
        cli.line("")?;
    }
    let freed = if gone.is_empty() {
        0
    } else {
        answer.space_reclaimed
    };
    cli.line(&format!(
        "Total reclaimed space: {}",
        units::human_size(freed as f64)
    ))?;
    Ok(0)
}
