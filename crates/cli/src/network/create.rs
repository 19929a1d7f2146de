//! `network create`.

use onggi_api::network::{ConfigReference, CreateRequest, Ipam};

use super::ipam::Addresses;
use super::{pairs, strings};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::Result;

pub(super) const FLAGS: &[Flag] = &[
    switch(
        None,
        "attachable",
        "Let containers join a network of a swarm by themselves",
    )
    .since(1, 25),
    list(
        None,
        "aux-address",
        "map",
        "Address that no container gets (name=address)",
    )
    .default("map[]"),
    value(
        None,
        "config-from",
        "string",
        "Take the configuration of this network",
    )
    .since(1, 30)
    .completed(Complete::Networks),
    switch(
        None,
        "config-only",
        "Make a configuration for others, not a network",
    )
    .since(1, 30),
    value(Some('d'), "driver", "string", "Driver of the network")
        .default("\"bridge\"")
        .completed(Complete::Words(&["bridge", "macvlan"])),
    list(
        None,
        "gateway",
        "strings",
        "Address of the way out, one for each subnet",
    )
    .checked(check::strings),
    switch(
        None,
        "ingress",
        "Make the network that leads into a swarm's services",
    )
    .since(1, 29),
    switch(None, "internal", "Let nothing in from outside, nor out"),
    list(
        None,
        "ip-range",
        "strings",
        "Part of a subnet that containers get addresses from",
    )
    .checked(check::strings),
    value(
        None,
        "ipam-driver",
        "string",
        "Driver that gives out addresses",
    )
    .default("\"default\""),
    list(
        None,
        "ipam-opt",
        "map",
        "Option of the driver that gives out addresses",
    )
    .default("map[]"),
    switch(None, "ipv4", "Give out IPv4 addresses").default("true"),
    switch(None, "ipv6", "Give out IPv6 addresses"),
    list(
        None,
        "label",
        "list",
        "Label of the network (name or name=value)",
    )
    .checked(check::label),
    list(Some('o'), "opt", "map", "Option of the driver").default("map[]"),
    value(
        None,
        "scope",
        "string",
        "How far the network reaches (local, swarm)",
    )
    .since(1, 30)
    .completed(Complete::Words(&["local", "swarm"])),
    list(
        None,
        "subnet",
        "strings",
        "Addresses of the network (172.28.0.0/16)",
    )
    .checked(check::strings),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] NETWORK",
    about: "Create a network",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    ..command(&["network create"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let request = request(matches)?;
    let client = cli.client()?;
    let made = cli.block_on(client.network_create(request))??;
    cli.line(&made.id)?;
    if !made.warning.is_empty() {
        cli.complain(&format!("WARNING: {}", made.warning))?;
    }
    Ok(0)
}

/// What the flags mean.
pub(super) fn request(matches: &Matches) -> Result<CreateRequest> {
    let addresses = Addresses {
        subnets: strings(matches, "subnet"),
        ranges: strings(matches, "ip-range"),
        gateways: strings(matches, "gateway"),
        aux: pairs(matches, "aux-address"),
    };
    let or = |flag: &'static str, default: &str| match matches.given(flag) {
        true => matches.text(flag).to_owned(),
        false => default.to_owned(),
    };
    let switch = |flag: &'static str| matches.given(flag).then(|| matches.on(flag));
    Ok(CreateRequest {
        driver: or("driver", "bridge"),
        scope: matches.text("scope").to_owned(),
        enable_ipv4: switch("ipv4"),
        enable_ipv6: switch("ipv6"),
        ipam: Some(Ipam {
            driver: or("ipam-driver", "default"),
            options: Some(pairs(matches, "ipam-opt")),
            config: Some(addresses.matched()?),
        }),
        internal: matches.on("internal"),
        attachable: matches.on("attachable"),
        ingress: matches.on("ingress"),
        config_only: matches.on("config-only"),
        config_from: Some(matches.text("config-from"))
            .filter(|name| !name.is_empty())
            .map(|name| ConfigReference {
                network: name.to_owned(),
            }),
        options: Some(pairs(matches, "opt")),
        labels: Some(pairs(matches, "label")),
        name: matches.args[0].clone(),
        ..CreateRequest::default()
    })
}
