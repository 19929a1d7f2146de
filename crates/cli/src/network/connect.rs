//! `network connect`.

use std::collections::BTreeMap;

use onggi_api::network::{ConnectRequest, EndpointIpamConfig, EndpointSettings};

use super::{named, strings};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, list, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(super) const FLAGS: &[Flag] = &[
    list(
        None,
        "alias",
        "strings",
        "Further name of the container within the network",
    )
    .checked(check::strings),
    list(
        None,
        "driver-opt",
        "strings",
        "Option of the network's driver (name=value)",
    )
    .checked(check::strings),
    value(
        None,
        "gw-priority",
        "int",
        "Network with the highest one gives the way out; may be negative",
    )
    .checked(check::int),
    value(None, "ip", "string", "IPv4 address (172.30.100.104)"),
    value(None, "ip6", "string", "IPv6 address (2001:db8::33)"),
    list(
        None,
        "link",
        "list",
        "Let the container reach another one by name",
    )
    .checked(check::link)
    .completed(Complete::Containers),
    list(
        None,
        "link-local-ip",
        "strings",
        "Link-local address of the container",
    )
    .checked(check::strings),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Connect a container to a network",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    complete: &[Complete::Networks, Complete::Containers],
    ..command(&["network connect"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let request = request(matches)?;
    let network = named("network", &matches.args[0])?;
    let client = cli.client()?;
    cli.block_on(client.network_connect(network, &request))??;
    Ok(0)
}

/// What the flags mean.
pub(super) fn request(matches: &Matches) -> Result<ConnectRequest> {
    let some = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    Ok(ConnectRequest {
        container: matches.args[1].clone(),
        endpoint_config: Some(EndpointSettings {
            ipam_config: Some(EndpointIpamConfig {
                ipv4_address: matches.text("ip").to_owned(),
                ipv6_address: matches.text("ip6").to_owned(),
                link_local_ips: some(strings(matches, "link-local-ip")),
            }),
            links: some(matches.list("link")),
            aliases: Some(strings(matches, "alias")),
            driver_opts: Some(driver_options(strings(matches, "driver-opt"))?),
            gw_priority: matches.int("gw-priority").unwrap_or(0),
            ..EndpointSettings::default()
        }),
    })
}

fn driver_options(given: Vec<String>) -> Result<BTreeMap<String, String>> {
    let pair = |text: String| {
        let pair = text.split_once('=').map(|(k, v)| (k.trim(), v.trim()));
        let (key, value) = pair
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::new("invalid key/value pair format in driver options"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    given.into_iter().map(pair).collect()
}
