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

/// Whether bridged packets pass the chains of IPv4 (module br_netfilter).
pub(crate) fn bridges_filter() -> bool {
    std::fs::read("/proc/sys/net/bridge/bridge-nf-call-iptables")
        .is_ok_and(|value| value.first() == Some(&b'1'))
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
