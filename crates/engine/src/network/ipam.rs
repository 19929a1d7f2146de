//! The subnets that a request asks for, read and checked in Docker's words: all that is wrong at once.

use std::net::IpAddr;

use ipnet::IpNet;
use onggi_api::network::{Ipam, IpamConfig};
use onggi_network::IpamRequest;

use crate::error::{Error, Result};

/// Reads the subnets of a request.
pub(super) fn read(ipam: &Ipam) -> Result<Vec<IpamRequest>> {
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    for config in ipam.config.iter().flatten() {
        all.push(read_one(config, &mut wrong));
    }
    match wrong.as_slice() {
        [] => Ok(all),
        [one] => Err(Error::invalid(format!("invalid network config:\n{one}"))),
        several => Err(Error::invalid(format!(
            "invalid network config:\n* {}",
            several.join("\n* ")
        ))),
    }
}

fn read_one(config: &IpamConfig, wrong: &mut Vec<String>) -> IpamRequest {
    let mut request = IpamRequest::default();
    if config.subnet.is_empty() {
        // The pool is chosen: what depends on it must fit whatever comes.
        if !config.ip_range.is_empty() || config.auxiliary_addresses.iter().flatten().count() > 0 {
            wrong.push("invalid subnet : invalid CIDR block notation".to_owned());
        }
        match config.gateway.as_str() {
            "" => {}
            text => match text.parse() {
                Ok(gateway) => request.gateway = Some(gateway),
                Err(_) => wrong.push(format!("invalid gateway {text}: invalid address")),
            },
        }
        return request;
    }
    let Some(subnet) = net(&config.subnet) else {
        wrong.push(format!(
            "invalid subnet {}: invalid CIDR block notation",
            config.subnet
        ));
        return request;
    };
    if subnet != subnet.trunc() {
        wrong.push(format!(
            "invalid subnet {subnet}: it should be {}",
            subnet.trunc()
        ));
    }
    request.subnet = Some(subnet);
    request.ip_range = range(&config.ip_range, subnet, wrong);
    let what = format!("gateway {}", config.gateway);
    request.gateway = address(&what, &config.gateway, subnet, wrong);
    for (name, text) in config.auxiliary_addresses.iter().flatten() {
        let what = format!("auxiliary address {name}");
        if let Some(ip) = address(&what, text, subnet, wrong) {
            request.aux_addresses.insert(name.clone(), ip);
        }
    }
    request
}

fn range(text: &str, subnet: IpNet, wrong: &mut Vec<String>) -> Option<IpNet> {
    if text.is_empty() {
        return None;
    }
    let Some(range) = net(text) else {
        wrong.push(format!(
            "invalid ip-range {text}: invalid CIDR block notation"
        ));
        return None;
    };
    if family(range.addr()) != family(subnet.addr()) {
        wrong.push(format!(
            "invalid ip-range {text}: parent subnet is an {} block",
            family(subnet.addr())
        ));
        return None;
    }
    let before = wrong.len();
    if range.prefix_len() < subnet.prefix_len() {
        wrong.push(format!(
            "invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"
        ));
    }
    if range != range.trunc() {
        wrong.push(format!(
            "invalid ip-range {range}: it should be {}",
            range.trunc()
        ));
    }
    if !subnet.contains(&range.network()) && !range.contains(&subnet.network()) {
        wrong.push(format!(
            "invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"
        ));
    }
    (wrong.len() == before).then_some(range)
}

fn address(what: &str, text: &str, subnet: IpNet, wrong: &mut Vec<String>) -> Option<IpAddr> {
    if text.is_empty() {
        return None;
    }
    let why = match text.parse::<IpAddr>() {
        Err(_) => "invalid address".to_owned(),
        Ok(ip) if family(ip) != family(subnet.addr()) => {
            format!("parent subnet is an {} block", family(subnet.addr()))
        }
        Ok(ip) if !subnet.contains(&ip) => {
            format!("parent subnet {subnet} doesn't contain this address")
        }
        Ok(ip) => return Some(ip),
    };
    wrong.push(format!("invalid {what}: {why}"));
    None
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok()
}

fn family(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_texts(subnet: &str, range: &str, gateway: &str) -> Result<Vec<IpamRequest>> {
        read(&Ipam {
            config: Some(vec![IpamConfig {
                subnet: subnet.to_owned(),
                ip_range: range.to_owned(),
                gateway: gateway.to_owned(),
                ..IpamConfig::default()
            }]),
            ..Ipam::default()
        })
    }

    #[test]
    fn refusals_are_dockers() {
        assert!(read_texts("10.0.0.0/24", "10.0.0.128/25", "10.0.0.9").is_ok());
        for (subnet, range, gateway, text) in [
            (
                "nonsense",
                "",
                "",
                "invalid subnet nonsense: invalid CIDR block notation",
            ),
            (
                "10.0.0.1/24",
                "",
                "",
                "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24",
            ),
            (
                "10.0.0.0/24",
                "10.0.0.0/16",
                "",
                "invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24",
            ),
            (
                "10.0.0.0/24",
                "",
                "10.0.1.1",
                "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
            ),
            (
                "fd00::/64",
                "",
                "10.0.1.1",
                "invalid gateway 10.0.1.1: parent subnet is an IPv6 block",
            ),
        ] {
            let error = read_texts(subnet, range, gateway).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid network config:\n{text}")
            );
        }
        let two = read_texts("10.0.0.0/24", "x", "y").unwrap_err().to_string();
        assert_eq!(
            two,
            "invalid network config:\n* invalid ip-range x: invalid CIDR block notation\n* invalid gateway y: invalid address"
        );
    }
}
