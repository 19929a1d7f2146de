//! The few switches of `/proc/sys/net` that netlink does not reach. They belong to the calling thread's namespace.

use std::io;

use crate::error::{Error, Result};

/// Switches IPv4 forwarding on; says whether it was off.
pub(crate) fn enable_forwarding() -> Result<bool> {
    const PATH: &str = "/proc/sys/net/ipv4/ip_forward";
    let now = std::fs::read_to_string(PATH).map_err(Error::io(PATH))?;
    if now.trim() != "0" {
        return Ok(false);
    }
    std::fs::write(PATH, "1").map_err(Error::io("switch on net.ipv4.ip_forward"))?;
    Ok(true)
}

/// Switches IPv6 off on a link, where the kernel has IPv6 (CVE-2024-32473: none in a network without it).
pub(crate) fn disable_ipv6(link: &str) -> io::Result<()> {
    match std::fs::write(format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6"), "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Lets a link have IPv6 and nothing that routers on it announce.
pub(crate) fn carry_ipv6(link: &str) -> io::Result<()> {
    let folder = format!("/proc/sys/net/ipv6/conf/{link}");
    std::fs::write(format!("{folder}/accept_ra"), "0")?;
    std::fs::write(format!("{folder}/disable_ipv6"), "0")
}

/// Lets a link have an address of IPv6 that is valid there, where the kernel has IPv6; nobody is asked whether it is free.
pub(crate) fn route_own_v6(link: &str) -> io::Result<()> {
    match carry_ipv6_at_once(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Lets packets of all senders come in by a link that no route leads back by; `rp_filter` of all links counts too, unless
/// this one's is greater.
pub(crate) fn take_any_source(link: &str) -> io::Result<()> {
    std::fs::write(format!("/proc/sys/net/ipv4/conf/{link}/rp_filter"), "2")
}

/// As [`carry_ipv6`] for a link that is not up yet: nobody waits until its addresses are known to be its own.
pub(crate) fn carry_ipv6_at_once(link: &str) -> io::Result<()> {
    std::fs::write(format!("/proc/sys/net/ipv6/conf/{link}/accept_dad"), "0")?;
    carry_ipv6(link)
}

/// The link tells its neighbours when its hardware address changes, as `arp_notify` does for IPv4.
pub(crate) fn announce_ipv6(link: &str) -> io::Result<()> {
    std::fs::write(format!("/proc/sys/net/ipv6/conf/{link}/ndisc_notify"), "1")
}

/// Switches IPv6 forwarding on; says whether it was off. A router takes no routes from announcements unless told to:
/// links that took theirs from there go on to.
pub(crate) fn enable_forwarding_v6() -> Result<bool> {
    const FOLDER: &str = "/proc/sys/net/ipv6/conf";
    let all = format!("{FOLDER}/all/forwarding");
    let now = std::fs::read_to_string(&all).map_err(Error::io(all.clone()))?;
    if now.trim() != "0" {
        return Ok(false);
    }
    let links = std::fs::read_dir(FOLDER).map_err(Error::io(FOLDER))?;
    for link in links.flatten() {
        let accept = link.path().join("accept_ra");
        if std::fs::read(&accept).is_ok_and(|value| value.starts_with(b"1")) {
            // One that vanishes meanwhile needs it no more.
            let _ = std::fs::write(&accept, "2");
        }
    }
    std::fs::write(&all, "1").map_err(Error::io("switch on net.ipv6.conf.all.forwarding"))?;
    Ok(true)
}

/// Sets a switch of a link, named as `sysctl` does with IFNAME in the link's place, the fourth. Only `net.` is the
/// namespace's.
pub(crate) fn set(link: &str, name: &str, value: &str) -> io::Result<()> {
    let mut parts: Vec<&str> = name.split('.').collect();
    if let Some(part) = parts.get_mut(3) {
        *part = link;
    }
    std::fs::write(format!("/proc/sys/{}", parts.join("/")), value)
}

/// Whether bridged packets pass the chains of IPv4 (module br_netfilter).
pub(crate) fn bridges_filter() -> bool {
    std::fs::read("/proc/sys/net/bridge/bridge-nf-call-iptables")
        .is_ok_and(|value| value.first() == Some(&b'1'))
}

/// Whether packets that come in by a link may go on to others.
pub(crate) fn forwards(link: &str, is_v4: bool) -> bool {
    let path = match is_v4 {
        true => format!("/proc/sys/net/ipv4/conf/{link}/forwarding"),
        false => "/proc/sys/net/ipv6/conf/all/forwarding".to_owned(),
    };
    std::fs::read(path).is_ok_and(|value| value.first() != Some(&b'0'))
}

/// Whether somebody uses tables of iptables that are not nftables'.
pub(crate) fn has_legacy_tables() -> bool {
    ["ip_tables_names", "ip6_tables_names"].iter().any(|name| {
        std::fs::read(format!("/proc/thread-self/net/{name}")).is_ok_and(|names| !names.is_empty())
    })
}

/// First and last port of those the host takes for outgoing connections, which are also those of `-p 80` and `-P`.
pub(crate) fn ephemeral_ports() -> (u16, u16) {
    let text =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    parse_range(&text).unwrap_or((49_153, 65_535))
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (0 < first && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("32768\t60999\n"), Some((32_768, 60_999)));
        for bad in ["", "5", "9 5", "0 7", "a b"] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }
}
