//! `image prune`: removes images that no container uses.

use onggi_model::Filters;

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch};
use crate::command::{Command, command};
use crate::confirm::confirm;
use crate::error::Result;
use crate::system::prune::{filters, removed};
use onggi_model::units::human_size;

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Remove every image that no container uses, not only those without a name",
    ),
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
    about: "Remove images that nobody uses",
    flags: &[FLAGS],
    ..command(&["image prune"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let all = matches.on("all");
    let mut wanted = Filters::default();
    for (key, value) in filters(matches.list("filter"), &cli.settings.file.prune_filters) {
        wanted.add(key, value);
    }
    wanted.add("dangling", if all { "false" } else { "true" });
    let what = match all {
        true => "all images without at least one container associated to them",
        false => "all dangling images",
    };
    let warning = format!("WARNING! This will remove {what}.\nAre you sure you want to continue?");
    if !matches.on("force") && !confirm(cli, &warning)? {
        // Nothing was done, as asked.
        return Ok(0);
    }
    let client = cli.client()?;
    let answer = cli.block_on(client.prune("images", &wanted, false))??;
    cli.print(&removed(&answer))?;
    let freed = answer["SpaceReclaimed"].as_u64().unwrap_or(0);
    cli.line(&format!(
        "Total reclaimed space: {}",
        human_size(freed as f64)
    ))?;
    Ok(0)
}
