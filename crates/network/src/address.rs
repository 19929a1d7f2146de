//! Which subnet a network gets, and which address an endpoint.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

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
pub(crate) fn choose_pool(own: &[Pool], taken: &[Ipv4Net]) -> Result<Ipv4Net> {
    let defaults = own.is_empty().then(pools).into_iter().flatten();
    own.iter()
        .flat_map(|pool| pool.subnets())
        .chain(defaults)
        .find(|pool| !overlaps(*pool, taken))
        .ok_or(Error::NoPool)
}

/// Whether `net` shares addresses with one of `taken`. The default route covers everything and counts for nothing.
pub(crate) fn overlaps(net: Ipv4Net, taken: &[Ipv4Net]) -> bool {
    taken
        .iter()
        .filter(|other| other.prefix_len() > 0)
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

/// The lowest free address of the subnet, or `None`; only in `range` where there is one.
pub(crate) fn lowest_free(
    subnet: Ipv4Net,
    range: Option<Ipv4Net>,
    used: &BTreeSet<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    let range = range.unwrap_or(subnet);
    let ends = [subnet.network(), subnet.broadcast()];
    let (from, to) = (u32::from(range.network()), u32::from(range.broadcast()));
    (from..=to)
        .map(Ipv4Addr::from)
        .find(|address| !used.contains(address) && !ends.contains(address))
}

/// Checks `--fixed-cidr` against the bridge's subnet.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn check_range(subnet: Ipv4Net, range: Ipv4Net) -> Result<()> {
    if subnet.contains(&range) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "fixed-cidr {range} is not within the bridge's subnet {subnet}"
    )))
}

/// Checks an address the user wants.
///
/// # Errors
/// [`Error::Invalid`] outside the subnet, [`Error::AddressInUse`].
pub(crate) fn check_wanted(
    subnet: Ipv4Net,
    used: &BTreeSet<Ipv4Addr>,
    wanted: Ipv4Addr,
) -> Result<()> {
    if !subnet.contains(&wanted) {
        return Err(Error::Invalid(format!(
            "no configured subnet or ip-range contain the IP address {wanted}"
        )));
    }
    if used.contains(&wanted) || wanted == subnet.network() || wanted == subnet.broadcast() {
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

    #[test]
    fn the_first_free_pool_in_dockers_order() {
        assert_eq!(
            choose_pool(&[], &[net("0.0.0.0/0"), net("10.0.0.0/8")]).unwrap(),
            net("172.17.0.0/16")
        );
        assert_eq!(
            choose_pool(&[], &[net("172.17.4.0/24")]).unwrap(),
            net("172.18.0.0/16")
        );
        assert_eq!(
            choose_pool(&[], &[net("172.16.0.0/12")]).unwrap(),
            net("192.168.0.0/20")
        );
        let taken = [
            net("172.16.0.0/12"),
            net("192.168.0.0/24"),
            net("192.168.16.1/32"),
        ];
        assert_eq!(choose_pool(&[], &taken).unwrap(), net("192.168.32.0/20"));
        let all = [net("172.16.0.0/12"), net("192.168.0.0/16")];
        assert!(matches!(choose_pool(&[], &all), Err(Error::NoPool)));
    }

    #[test]
    fn addresses_are_given_from_below() {
        let subnet = net("10.1.0.0/29");
        let mut used = BTreeSet::from([first(subnet).unwrap()]);
        let mut given = Vec::new();
        while let Some(address) = lowest_free(subnet, None, &used) {
            used.insert(address);
            given.push(address.octets()[3]);
        }
        assert_eq!(given, [2, 3, 4, 5, 6]);
        used.remove(&Ipv4Addr::new(10, 1, 0, 3));
        assert_eq!(
            lowest_free(subnet, None, &used),
            Some(Ipv4Addr::new(10, 1, 0, 3))
        );
    }

    #[test]
    fn pools_and_ranges_of_the_configuration() {
        let own = [
            Pool::new(net("10.9.0.0/23"), 24).unwrap(),
            Pool::new(net("10.8.0.0/24"), 24).unwrap(),
        ];
        let choose = |taken: &[&str]| {
            let taken: Vec<_> = taken.iter().map(|text| net(text)).collect();
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
        while let Some(address) = lowest_free(subnet, Some(range), &used) {
            used.insert(address);
            given.push(address.octets()[3]);
        }
        assert_eq!(given, [8, 9, 10, 11]);
        assert!(check_range(subnet, range).is_ok());
        assert!(check_range(range, subnet).is_err());
    }

    #[test]
    fn wanted_addresses_are_checked() {
        let subnet = net("10.1.0.0/29");
        let used = BTreeSet::from([Ipv4Addr::new(10, 1, 0, 1)]);
        let check = |text: &str| check_wanted(subnet, &used, text.parse().unwrap());
        assert!(check("10.1.0.5").is_ok());
        assert!(matches!(check("10.2.0.5"), Err(Error::Invalid(_))));
        for taken in ["10.1.0.0", "10.1.0.1", "10.1.0.7"] {
            assert!(matches!(check(taken), Err(Error::AddressInUse)), "{taken}");
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
