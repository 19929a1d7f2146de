//! `--network` and the flags that belong to the first one: aliases, addresses, links.

use std::collections::BTreeMap;

use onggi_api::network::{EndpointIpamConfig, EndpointSettings};

use crate::args::Matches;
use crate::error::{Error, Result};

/// Where a container is connected. `--mac-address` is given apart: old daemons want it elsewhere.
pub(super) struct Networks {
    /// The network mode of the host configuration.
    pub(super) mode: String,
    pub(super) endpoints: BTreeMap<String, Option<EndpointSettings>>,
}

/// One `--network`.
#[derive(Default)]
struct Attachment {
    target: String,
    aliases: Vec<String>,
    driver_opts: BTreeMap<String, String>,
    ipv4: String,
    ipv6: String,
    link_local: Vec<String>,
    links: Vec<String>,
    mac: String,
    priority: i64,
}

/// Is this a value of `--network`?
pub(crate) fn check(spec: &str) -> std::result::Result<(), String> {
    parse(spec).map(drop)
}

/// `NAME` or `name=NAME,alias=A,ip=I,...`.
fn parse(spec: &str) -> std::result::Result<Attachment, String> {
    let mut attachment = Attachment::default();
    let long = spec.split_once('=').is_some_and(|(key, _)| {
        key.chars()
            .all(|c| c.is_ascii_lowercase() || c == '-' || c == '6')
    });
    if !long {
        attachment.target = spec.to_owned();
        return Ok(attachment);
    }
    for field in onggi_model::csv(spec) {
        let (key, value) = field
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid field {field}"))?;
        let (key, value) = (key.trim().to_lowercase(), value.trim());
        match key.as_str() {
            "name" => attachment.target = value.to_owned(),
            "alias" => attachment.aliases.push(value.to_owned()),
            "ip" => attachment.ipv4 = value.to_owned(),
            "ip6" => attachment.ipv6 = value.to_owned(),
            "mac-address" => attachment.mac = value.to_owned(),
            "link-local-ip" => attachment.link_local.push(value.to_owned()),
            "driver-opt" => {
                let (key, value) = value
                    .split_once('=')
                    .ok_or("invalid key value pair format in driver options")?;
                attachment
                    .driver_opts
                    .insert(key.trim().to_lowercase(), value.trim().to_owned());
            }
            "gw-priority" => {
                attachment.priority = value.parse().map_err(|_| {
                    format!("invalid gw-priority ({value}): strconv.ParseInt: parsing {}: invalid syntax", crate::quote(value))
                })?;
            }
            other => return Err(format!("invalid field key {other}")),
        }
    }
    if attachment.target.is_empty() {
        return Err("network name/id is not specified".to_owned());
    }
    Ok(attachment)
}

pub(super) fn options(matches: &Matches, mac: &str) -> Result<Networks> {
    let mut attachments = matches
        .all("network")
        .chain(matches.all("net"))
        .map(|spec| parse(spec).map_err(Error::new))
        .collect::<Result<Vec<_>>>()?;
    if attachments.is_empty() {
        attachments.push(Attachment {
            target: "default".to_owned(),
            ..Attachment::default()
        });
    }
    let several = attachments.len() > 1;
    let one = attachments.len() == 1 && (matches.given("network") || matches.given("net"));
    let mut networks = Networks {
        mode: String::new(),
        endpoints: BTreeMap::new(),
    };
    for (index, mut attachment) in attachments.into_iter().enumerate() {
        if attachment.target.trim().is_empty() {
            return Err(Error::new("no name set for network"));
        }
        let user_defined = !matches!(
            attachment.target.as_str(),
            "default" | "bridge" | "host" | "none"
        ) && !attachment.target.starts_with("container:");
        if several && !user_defined && matches!(attachment.target.as_str(), "host" | "none") {
            return Err(Error::new(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
            ));
        }
        if !attachment.mac.is_empty() && !super::is_mac(&attachment.mac) {
            return Err(Error::new(format!(
                "{} is not a valid mac address",
                attachment.mac
            )));
        }
        if index == 0 {
            first(matches, mac, &mut attachment)?;
            networks.mode = attachment.target.clone();
        }
        let name = attachment.target.clone();
        let endpoint = endpoint(attachment);
        // A network without wishes needs no endpoint: the daemon makes it.
        if one && endpoint == EndpointSettings::default() {
            continue;
        }
        if networks
            .endpoints
            .insert(name.clone(), Some(endpoint))
            .is_some()
        {
            return Err(Error::new(format!(
                "network {} is specified multiple times",
                crate::quote(&name)
            )));
        }
    }
    Ok(networks)
}

/// Adds what `--network-alias`, `--ip` and their like say of the first network.
fn first(matches: &Matches, mac: &str, attachment: &mut Attachment) -> Result<()> {
    let aliases: Vec<String> = matches
        .all("network-alias")
        .chain(matches.all("net-alias"))
        .map(str::to_owned)
        .collect();
    let conflict = |flag: &str, field: &str| {
        Error::new(format!(
            "conflicting options: cannot specify both --{flag} and per-network {field}"
        ))
    };
    if !aliases.is_empty() {
        if !attachment.aliases.is_empty() {
            return Err(conflict("network-alias", "alias"));
        }
        attachment.aliases = aliases;
    }
    if let Some(ip) = matches.one("ip").filter(|ip| !ip.is_empty()) {
        if !attachment.ipv4.is_empty() {
            return Err(conflict("ip", "IPv4 address"));
        }
        attachment.ipv4 = ip.to_owned();
    }
    if let Some(ip) = matches.one("ip6").filter(|ip| !ip.is_empty()) {
        if !attachment.ipv6.is_empty() {
            return Err(conflict("ip6", "IPv6 address"));
        }
        attachment.ipv6 = ip.to_owned();
    }
    let link_local = matches.list("link-local-ip");
    if !link_local.is_empty() {
        if !attachment.link_local.is_empty() {
            return Err(conflict("link-local-ip", "link-local IP addresses"));
        }
        attachment.link_local = link_local;
    }
    if !mac.is_empty() {
        if !attachment.mac.is_empty() && attachment.mac != mac {
            return Err(conflict("mac-address", "MAC address"));
        }
        attachment.mac = mac.to_owned();
    }
    let user_defined = !matches!(
        attachment.target.as_str(),
        "default" | "bridge" | "host" | "none"
    );
    if user_defined {
        attachment.links = matches.list("link");
    }
    Ok(())
}

fn endpoint(attachment: Attachment) -> EndpointSettings {
    let some = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    let ipam = EndpointIpamConfig {
        ipv4_address: attachment.ipv4,
        ipv6_address: attachment.ipv6,
        link_local_ips: some(attachment.link_local),
    };
    EndpointSettings {
        ipam_config: Some(ipam).filter(|ipam| *ipam != EndpointIpamConfig::default()),
        links: some(attachment.links),
        aliases: some(attachment.aliases),
        driver_opts: Some(attachment.driver_opts).filter(|map| !map.is_empty()),
        gw_priority: attachment.priority,
        mac_address: attachment.mac,
        ..EndpointSettings::default()
    }
}
