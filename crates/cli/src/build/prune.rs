//! `builder prune`: removes from the cache of builds what nobody uses.

use onggi_client::Version;
use onggi_model::Filters;
use onggi_model::units::{human_size, ram_in_bytes};

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::command::{Command, command};
use crate::confirm::confirm;
use crate::error::{Error, Result};
use crate::system::prune::{filters, removed};

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Remove all of the cache that no build uses now, not only what nothing refers to",
    ),
    list(
        None,
        "filter",
        "filter",
        "Remove only what fits (\"until=24h\", \"id=...\", \"type=...\")",
    )
    .checked(check::filter),
    switch(Some('f'), "force", "Do not ask"),
    value(
        None,
        "keep-storage",
        "bytes",
        "Keep as much of the cache as takes this room; another name of --reserved-space",
    )
    .checked(check::bytes),
    value(
        None,
        "max-used-space",
        "bytes",
        "Remove until the cache takes no more than this",
    )
    .checked(check::bytes)
    .since(1, 48),
    value(
        None,
        "min-free-space",
        "bytes",
        "Remove until this much of the disk is free",
    )
    .checked(check::bytes)
    .since(1, 48),
    value(
        None,
        "reserved-space",
        "bytes",
        "Keep as much of the cache as takes this room",
    )
    .checked(check::bytes),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Remove the cache of builds",
    flags: &[FLAGS],
    ..command(&["builder prune"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let all = matches.on("all");
    let what = match all {
        true => "all build cache",
        false => "all dangling build cache",
    };
    let warning = format!("WARNING! This will remove {what}. Are you sure you want to continue?");
    if !matches.on("force") && !confirm(cli, &warning)? {
        // Nothing was done, as asked.
        return Ok(0);
    }
    let mut wanted = Filters::default();
    for (key, value) in filters(matches.list("filter"), &cli.settings.file.prune_filters) {
        wanted.add(key, value);
    }
    let client = cli.client()?;
    let version = cli.block_on(client.version())??;
    let query = query(matches, &wanted, version)?;
    let answer = cli.block_on(client.build_prune(&query))??;
    cli.print(&removed(&answer))?;
    let freed = answer["SpaceReclaimed"].as_u64().unwrap_or(0);
    cli.line(&format!(
        "Total reclaimed space: {}",
        human_size(freed as f64)
    ))?;
    Ok(0)
}

/// The parameters. Daemons before 1.48 know one kind of room to keep, by another name.
fn query(
    matches: &Matches,
    filters: &Filters,
    version: Version,
) -> Result<Vec<(&'static str, String)>> {
    let mut query = Vec::new();
    if matches.on("all") {
        query.push(("all", "1".to_owned()));
    }
    if !filters.is_empty() {
        query.push(("filters", filters.to_json()));
    }
    let reserved = match version >= Version(1, 48) {
        true => "reserved-space",
        false => "keep-storage",
    };
    for (flag, name) in [
        ("keep-storage", reserved),
        ("reserved-space", reserved),
        ("max-used-space", "max-used-space"),
        ("min-free-space", "min-free-space"),
    ] {
        if let Some(text) = matches.one(flag) {
            let bytes = ram_in_bytes(text).map_err(|error| Error::new(error.to_string()))?;
            query.retain(|(other, _)| *other != name);
            query.push((name, bytes.to_string()));
        }
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Positionals, parse::parse};

    #[test]
    fn parameters_are_those_the_daemon_knows() {
        for (args, version, wanted) in [
            ("-a", Version(1, 41), "all=1"),
            ("--keep-storage 1k", Version(1, 41), "keep-storage=1024"),
            ("--keep-storage 1k", Version(1, 48), "reserved-space=1024"),
            ("--reserved-space 2k", Version(1, 41), "keep-storage=2048"),
            (
                "--keep-storage 1k --reserved-space 2k --max-used-space 3k --min-free-space 4k",
                Version(1, 55),
                "reserved-space=2048 max-used-space=3072 min-free-space=4096",
            ),
            (
                "--filter until=24h",
                Version(1, 55),
                r#"filters={"until":{"24h":true}}"#,
            ),
        ] {
            let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
            let matches = parse(&[FLAGS], Positionals::Mixed, &args).expect("flags");
            let mut wished = Filters::default();
            for (key, value) in filters(matches.list("filter"), &[]) {
                wished.add(key, value);
            }
            let found = query(&matches, &wished, version).expect("parameters");
            let found = found.iter().map(|(name, value)| format!("{name}={value}"));
            assert_eq!(found.collect::<Vec<_>>().join(" "), wanted);
        }
    }
}
