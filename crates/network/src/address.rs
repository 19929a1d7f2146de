//! Which subnet a network gets, and which address an endpoint.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::Pool;
use crate::error::{Error, Result};

/// Docker's default pools: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in pieces of /20.
fn pools() -> impl Iterator<Item = Ipv4Net> {
    let wide = (17..=31).map(|second| Ipv4Net::new_assert(Ipv4Addr::new(172, second, 0, 0), 16));
    let narrow =
        (0..16).map(|piece| Ipv4Net::new_assert(Ipv4Addr::new(192, 168, piece * 16, 0), 20));
    wide.chain(narrow)
}

/// The first piece of the configured pools, or of Docker's, that overlaps with nothing the host routes.
///
/// # Errors
/// [`Error::NoPool`].
pub(crate) fn choose_pool(own: &[Pool], taken: &[IpNet]) -> Result<Ipv4Net> {
    let taken = Ranges::of(taken.iter().filter(|net| net.addr().is_ipv4()));
    let defaults = own.is_empty().then(pools).into_iter().flatten();
    own.iter()
        .flat_map(|pool| pool.subnets())
        .chain(defaults)
        .find(|pool| !taken.meet((*pool).into()))
        .ok_or(Error::NoPool)
}

/// The first /64 of the ULA range `base` that overlaps with nothing the host routes.
///
/// # Errors
/// [`Error::NoPool6`].
pub(crate) fn choose_pool_v6(base: Ipv6Net, taken: &[IpNet]) -> Result<Ipv6Net> {
    let taken = Ranges::of(taken.iter().filter(|net| net.addr().is_ipv6()));
    base.subnets(64)
        .into_iter()
        .flatten()
        .find(|pool| !taken.meet((*pool).into()))
        .ok_or(Error::NoPool6)
}

/// Ranges of addresses of one family, in their order and apart, so that thousands of subnets are tried against thousands
/// in no time.
struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    fn of<'a>(nets: impl Iterator<Item = &'a IpNet>) -> Self {
        let mut all: Vec<(u128, u128)> = nets
            .filter(|net| counts(net))
            .map(|net| (number(net.network()), number(net.broadcast())))
            .collect();
        all.sort_unstable();
        let mut apart: Vec<(u128, u128)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match apart.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => apart.push((first, last)),
            }
        }
        Self(apart)
    }

    fn meet(&self, net: IpNet) -> bool {
        let (first, last) = (number(net.network()), number(net.broadcast()));
        let next = self.0.partition_point(|range| range.1 < first);
        self.0.get(next).is_some_and(|range| range.0 <= last)
    }
}

/// The range of unique local addresses that belongs to this installation: its 40 random bits are those of an id.
pub(crate) fn local_range(id: &str) -> Ipv6Net {
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    for (index, octet) in octets[1..6].iter_mut().enumerate() {
        let digits = id.get(index * 2..index * 2 + 2).unwrap_or_default();
        *octet = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    Ipv6Net::new_assert(octets.into(), 48)
}

/// The default route covers everything and counts for nothing, also in two halves, as VPNs have it.
fn counts(net: &IpNet) -> bool {
    net.prefix_len() > 1
}

/// Whether `net` shares addresses with one of `taken`.
pub(crate) fn overlaps(net: IpNet, taken: &[IpNet]) -> bool {
    taken
        .iter()
        .filter(|other| counts(other))
        .any(|other| other.contains(&net.network()) || net.contains(&other.network()))
}

/// The first address of the subnet: the gateway's.
pub(crate) fn first(subnet: Ipv4Net) -> Result<Ipv4Addr> {
    subnet
        .hosts()
        .next()
        .filter(|_| subnet.prefix_len() < 31)
        .ok_or_else(|| Error::Invalid(format!("the subnet {subnet} has no room for containers")))
}

/// Checks `--bip`: an address of a host in a subnet with room for containers.
pub(crate) fn check_bip(bip: Ipv4Net) -> Result<()> {
    first(bip.trunc())?;
    if bip.addr() == bip.network() || bip.addr() == bip.broadcast() {
        return Err(Error::Invalid(format!(
            "bip {bip} must be the address of the bridge, not of the subnet"
        )));
    }
    Ok(())
}

/// The first address of a subnet of either family that is none of `others`: its gateway's.
pub(crate) fn gateway(subnet: IpNet, others: &BTreeSet<IpAddr>) -> Result<IpAddr> {
    lowest_free(subnet, None, others)
        .ok_or_else(|| Error::Invalid(format!("the subnet {subnet} has no room for a gateway")))
}

/// The lowest free address of the subnet, or `None`; only in `range` where there is one.
pub(crate) fn lowest_free(
    subnet: IpNet,
    range: Option<IpNet>,
    used: &BTreeSet<IpAddr>,
) -> Option<IpAddr> {
    let range = range.unwrap_or(subnet);
    let (from, to) = (number(range.network()), number(range.broadcast()));
    (from..=to)
        .map(|number| address(subnet, number))
        .find(|address| !used.contains(address) && !is_end(subnet, *address))
}

/// Whether an address of a subnet stands for the subnet itself, or for all in it.
pub(crate) fn is_end(subnet: IpNet, address: IpAddr) -> bool {
    match subnet {
        // RFC 3021: a subnet of two addresses has two hosts.
        IpNet::V4(net) if net.prefix_len() < 31 => {
            address == net.network() || address == net.broadcast()
        }
        IpNet::V4(_) => false,
        // RFC 4291, 2.6.1: the first is any router's.
        IpNet::V6(net) => net.prefix_len() < 127 && address == net.network(),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(family: IpNet, number: u128) -> IpAddr {
    match family {
        IpNet::V4(_) => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpNet::V6(_) => Ipv6Addr::from(number).into(),
    }
}

/// Checks `--fixed-cidr`, `--fixed-cidr-v6` against the bridge's subnet.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn check_range(what: &str, subnet: IpNet, range: IpNet) -> Result<()> {
    if subnet.contains(&range) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{what} {range} is not within the bridge's subnet {subnet}"
    )))
}

/// Checks that a subnet of IPv6 can be the default bridge's.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn check_net_v6(what: &str, net: Ipv6Net) -> Result<()> {
    let first = net.network();
    let why = if net.prefix_len() > 126 {
        "has no room for containers"
    } else if first.is_multicast() || first.is_loopback() || first.is_unspecified() {
        "is not for hosts"
    } else if first.is_unicast_link_local() {
        // Each link has these: an address says nothing about the way.
        "is link-local: take one of fd00::/8"
    } else {
        return Ok(());
    };
    Err(Error::Invalid(format!("{what} {net} {why}")))
}

/// Checks an address the user wants.
///
/// # Errors
/// [`Error::Invalid`] outside the subnet, [`Error::AddressInUse`].
pub(crate) fn check_wanted(subnet: IpNet, used: &BTreeSet<IpAddr>, wanted: IpAddr) -> Result<()> {
    if !subnet.contains(&wanted) {
        return Err(Error::Invalid(format!(
            "no configured subnet or ip-range contain the IP address {wanted}"
        )));
    }
    if used.contains(&wanted) || is_end(subnet, wanted) {
        return Err(Error::AddressInUse);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn any(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn last_byte(address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        }
    }

    #[test]
    fn ranges_of_ipv6() {
        let own = local_range("0123456789ab");
        assert_eq!(own.to_string(), "fd01:2345:6789::/48");
        let first = choose_pool_v6(own, &[]).unwrap();
        assert_eq!(first.to_string(), "fd01:2345:6789::/64");
        let second = choose_pool_v6(own, &[any("::/0"), first.into()]).unwrap();
        assert_eq!(second.to_string(), "fd01:2345:6789:1::/64");
        let used = BTreeSet::from([gateway(second.into(), &BTreeSet::new()).unwrap()]);
        let given = lowest_free(second.into(), None, &used).unwrap();
        assert_eq!(given.to_string(), "fd01:2345:6789:1::2");
    }

    #[test]
    fn the_first_free_pool_in_dockers_order() {
        assert_eq!(
            choose_pool(
                &[],
                &[any("0.0.0.0/0"), any("128.0.0.0/1"), any("10.0.0.0/8")]
            )
            .unwrap(),
            net("172.17.0.0/16")
        );
        assert_eq!(
            choose_pool(&[], &[any("172.17.4.0/24")]).unwrap(),
            net("172.18.0.0/16")
        );
        assert_eq!(
            choose_pool(&[], &[any("172.16.0.0/12")]).unwrap(),
            net("192.168.0.0/20")
        );
        let taken = [
            any("172.16.0.0/12"),
            any("192.168.0.0/24"),
            any("192.168.16.1/32"),
        ];
        assert_eq!(choose_pool(&[], &taken).unwrap(), net("192.168.32.0/20"));
        let all = [any("172.16.0.0/12"), any("192.168.0.0/16")];
        assert!(matches!(choose_pool(&[], &all), Err(Error::NoPool)));
    }

    #[test]
    fn addresses_are_given_from_below() {
        let subnet = any("10.1.0.0/29");
        let mut used = BTreeSet::from([gateway(subnet, &BTreeSet::new()).unwrap()]);
        let mut given = Vec::new();
        while let Some(address) = lowest_free(subnet, None, &used) {
            used.insert(address);
            given.push(last_byte(address));
        }
        assert_eq!(given, [2, 3, 4, 5, 6]);
        let third: IpAddr = "10.1.0.3".parse().unwrap();
        used.remove(&third);
        assert_eq!(lowest_free(subnet, None, &used), Some(third));
    }

    #[test]
    fn pools_and_ranges_of_the_configuration() {
        let own = [
            Pool::new(net("10.9.0.0/23"), 24).unwrap(),
            Pool::new(net("10.8.0.0/24"), 24).unwrap(),
        ];
        let choose = |taken: &[&str]| {
            let taken: Vec<_> = taken.iter().map(|text| any(text)).collect();
            choose_pool(&own, &taken)
        };
        assert_eq!(choose(&[]).unwrap(), net("10.9.0.0/24"));
        assert_eq!(choose(&["10.9.0.0/25"]).unwrap(), net("10.9.1.0/24"));
        assert_eq!(choose(&["10.9.0.0/16"]).unwrap(), net("10.8.0.0/24"));
        assert!(choose(&["10.0.0.0/8"]).is_err());
        assert!(Pool::new(net("10.9.0.0/24"), 16).is_err());
        assert!(Pool::new(net("10.9.0.0/24"), 31).is_err());
        let (subnet, range) = (net("10.9.0.0/24"), net("10.9.0.8/30"));
        let mut used = BTreeSet::new();
        let mut given = Vec::new();
        while let Some(address) = lowest_free(subnet.into(), Some(range.into()), &used) {
            used.insert(address);
            given.push(last_byte(address));
        }
        assert_eq!(given, [8, 9, 10, 11]);
        assert!(check_range("fixed-cidr", subnet.into(), range.into()).is_ok());
        assert!(check_range("fixed-cidr", range.into(), subnet.into()).is_err());
    }

    #[test]
    fn wanted_addresses_are_checked() {
        let subnet = any("10.1.0.0/29");
        let used = BTreeSet::from(["10.1.0.1".parse().unwrap()]);
        let check = |text: &str| check_wanted(subnet, &used, text.parse().unwrap());
        assert!(check("10.1.0.5").is_ok());
        assert!(matches!(check("10.2.0.5"), Err(Error::Invalid(_))));
        for taken in ["10.1.0.0", "10.1.0.1", "10.1.0.7"] {
            assert!(matches!(check(taken), Err(Error::AddressInUse)), "{taken}");
        }
    }

    #[test]
    fn subnets_of_ipv6() {
        let check = |text: &str| check_net_v6("fixed-cidr-v6", text.parse().unwrap());
        for good in ["fd00:1::/64", "2001:db8::/80", "fd00:1::/126"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["fd00:1::/127", "fe80::/64", "ff02::/64", "::/64", "::1/64"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bips() {
        assert!(check_bip(net("172.20.0.1/16")).is_ok());
        assert!(check_bip(net("172.20.0.9/29")).is_ok());
        for bad in [
            "172.20.0.0/16",
            "172.20.255.255/16",
            "172.20.0.1/31",
            "172.20.0.1/32",
        ] {
            assert!(check_bip(net(bad)).is_err(), "{bad}");
        }
    }
}
