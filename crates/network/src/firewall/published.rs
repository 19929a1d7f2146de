//! Published ports as elements of the maps: one for a port, one for a run of ports onto themselves, one for each port of
//! a run that is shifted.

use std::net::IpAddr;

use onggi_netlink::nft::{Data, Element, Family, concatenate};

use super::declare::Elements;
use super::rules::{MAP, MAP_ANY, OPENED, RANGES, RANGES_ANY};
use crate::endpoint::{Endpoint, Published};
use crate::publish::protocol_number;

/// What the table of this family has of the endpoint's ports.
pub(super) fn elements(endpoint: &Endpoint, family: Family) -> Elements {
    let container = match family {
        Family::Ip6 => endpoint.address_v6().map(IpAddr::V6),
        _ => endpoint.address_v4().map(IpAddr::V4),
    };
    let Some(container) = container else {
        return Elements::new();
    };
    let tag = endpoint.container.short();
    let ours = endpoint
        .ports
        .iter()
        .filter(|one| one.host_ip.is_ipv4() == container.is_ipv4());
    ours.flat_map(|one| run(one, container, tag)).collect()
}

/// A run of ports of this container.
fn run(one: &Published, container: IpAddr, tag: &str) -> Elements {
    let protocol = [protocol_number(one.port.protocol)];
    let (first, host) = (one.port.number, one.host_port);
    let behind = one.length.saturating_sub(1);
    let make = |key: Vec<u8>, last: Option<Vec<u8>>, data: Option<Vec<u8>>| Element {
        key,
        last,
        ends: false,
        data: data.map(Data::Value),
        tag: Some(tag.to_owned()),
    };
    if host == 0 {
        // Not translated: reached at the container's own address.
        let key = |port: u16| concatenate(&[&protocol, &octets(container), &port.to_be_bytes()]);
        let last = key(first.saturating_add(behind));
        return vec![(OPENED, make(key(first), Some(last), None))];
    }
    let any = one.host_ip.is_unspecified();
    let key = |port: u16| {
        if any {
            concatenate(&[&protocol, &port.to_be_bytes()])
        } else {
            concatenate(&[&protocol, &octets(one.host_ip), &port.to_be_bytes()])
        }
    };
    if behind > 0 && host == first {
        let set = if any { RANGES_ANY } else { RANGES };
        let last = key(host.saturating_add(behind));
        return vec![(set, make(key(host), Some(last), Some(octets(container))))];
    }
    let set = if any { MAP_ANY } else { MAP };
    (0..=behind)
        .filter_map(|step| Some((host.checked_add(step)?, first.checked_add(step)?)))
        .map(|(host, port)| {
            let data = concatenate(&[&octets(container), &port.to_be_bytes()]);
            (set, make(key(host), None, Some(data)))
        })
        .collect()
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onggi_model::Port;

    fn published(port: u16, host: u16, length: u16) -> Published {
        Published {
            port: Port::new(port, onggi_model::Protocol::Udp),
            host_ip: "0.0.0.0".parse().unwrap(),
            host_port: host,
            length,
        }
    }

    fn count(one: &Published) -> (usize, &'static str) {
        let elements = run(one, "172.17.0.2".parse().unwrap(), "c");
        (elements.len(), elements[0].0)
    }

    #[test]
    fn a_run_onto_itself_is_one_element() {
        assert_eq!(count(&published(10_000, 10_000, 40_000)), (1, RANGES_ANY));
        assert_eq!(count(&published(10_000, 20_000, 3)), (3, MAP_ANY));
        assert_eq!(count(&published(80, 8080, 1)), (1, MAP_ANY));
        assert_eq!(count(&published(80, 80, 1)), (1, MAP_ANY));
        assert_eq!(count(&published(80, 0, 5)), (1, OPENED));
        let one = Published {
            host_ip: "10.0.0.1".parse().unwrap(),
            ..published(1, 1, 65_535)
        };
        let elements = run(&one, "172.17.0.2".parse().unwrap(), "c");
        assert_eq!(elements[0].0, RANGES);
        assert_eq!(
            elements[0].1.last.as_deref(),
            Some(&[17, 0, 0, 0, 10, 0, 0, 1, 255, 255, 0, 0][..])
        );
    }
}
