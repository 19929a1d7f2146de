//! `volume create`.

use onggi_api::volume::CreateRequest;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, list, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

/// Flags of volumes of a swarm: known, so that whoever gives them is told.
const CLUSTER: [&str; 10] = [
    "availability",
    "group",
    "limit-bytes",
    "required-bytes",
    "scope",
    "secret",
    "sharing",
    "topology-preferred",
    "topology-required",
    "type",
];

const FLAGS: &[Flag] = &[
    value(
        None,
        "availability",
        "string",
        "Availability of a volume of a swarm (refused: there is no swarm)",
    )
    .default("\"active\"")
    .since(1, 42)
    .completed(Complete::Words(&["active", "pause", "drain"])),
    value(Some('d'), "driver", "string", "Driver of the volume").default("\"local\""),
    value(
        None,
        "group",
        "string",
        "Group of a volume of a swarm (refused: there is no swarm)",
    )
    .since(1, 42),
    list(
        None,
        "label",
        "list",
        "Label of the volume (name or name=value)",
    )
    .checked(check::label),
    value(
        None,
        "limit-bytes",
        "bytes",
        "Greatest size of a volume of a swarm (refused: there is no swarm)",
    )
    .checked(check::bytes)
    .since(1, 42),
    value(None, "name", "string", "Name of the volume").hidden(),
    list(
        Some('o'),
        "opt",
        "map",
        "Option of the driver (type=, device= and o= as mount has them)",
    )
    .default("map[]"),
    value(
        None,
        "required-bytes",
        "bytes",
        "Smallest size of a volume of a swarm (refused: there is no swarm)",
    )
    .checked(check::bytes)
    .since(1, 42),
    value(
        None,
        "scope",
        "string",
        "Who may use a volume of a swarm (refused: there is no swarm)",
    )
    .default("\"single\"")
    .since(1, 42)
    .completed(Complete::Words(&["single", "multi"])),
    list(
        None,
        "secret",
        "map",
        "Secret of a volume of a swarm (refused: there is no swarm)",
    )
    .default("map[]")
    .since(1, 42),
    value(
        None,
        "sharing",
        "string",
        "How a volume of a swarm is shared (refused: there is no swarm)",
    )
    .default("\"none\"")
    .since(1, 42)
    .completed(Complete::Words(&["none", "readonly", "onewriter", "all"])),
    list(
        None,
        "topology-preferred",
        "list",
        "Where a volume of a swarm should be (refused: there is no swarm)",
    )
    .since(1, 42),
    list(
        None,
        "topology-required",
        "list",
        "Where a volume of a swarm must be (refused: there is no swarm)",
    )
    .since(1, 42),
    value(
        None,
        "type",
        "string",
        "Kind of a volume of a swarm (refused: there is no swarm)",
    )
    .default("\"block\"")
    .since(1, 42)
    .completed(Complete::Words(&["mount", "block"])),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [VOLUME]",
    about: "Create a volume",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    ..command(&["volume create"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    if let Some(flag) = CLUSTER.iter().find(|flag| matches.given(flag)) {
        return Err(Error::new(format!(
            "--{flag}: volumes of a swarm are not there; leave it away for a volume of this machine"
        )));
    }
    let given = matches.args.first().map_or("", String::as_str);
    let named = matches.text("name");
    if !given.is_empty() && !named.is_empty() {
        return Err(Error::new(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
        ));
    }
    let name = if given.is_empty() { named } else { given };
    let pairs = |flag: &'static str| {
        let pairs = matches.all(flag).map(|text| {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            (key.to_owned(), value.to_owned())
        });
        Some(pairs.collect())
    };
    let request = CreateRequest {
        name: name.to_owned(),
        driver: match matches.text("driver") {
            "" => "local".to_owned(),
            driver => driver.to_owned(),
        },
        driver_opts: pairs("opt"),
        labels: pairs("label"),
        ..CreateRequest::default()
    };
    let client = cli.client()?;
    let volume = cli.block_on(client.volume_create(&request))??;
    cli.line(&volume.name)?;
    Ok(0)
}
