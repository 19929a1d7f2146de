//! A packet of which some things are known: the first of a connection, from somebody of a group to one port. What differs
//! within the group is unknown, and what the rules make of it is then known to be one of several.

use std::net::IpAddr;

use onggi_netlink::nft::Family;

/// What is known of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Byte {
    /// All.
    Is(u8),
    /// What it is not.
    Not(u8),
    /// Nothing.
    Any,
}

impl Byte {
    /// Its value, if it is known.
    pub(super) fn value(self) -> Option<u8> {
        match self {
            Self::Is(value) => Some(value),
            Self::Not(_) | Self::Any => None,
        }
    }
}

/// Bytes, each known or not.
pub(super) type Bytes = Vec<Byte>;

/// The bytes of all registers.
const REGISTERS: usize = 64;
/// `NF_CT_STATE_BIT(IP_CT_NEW)`.
pub(super) const NEW: u32 = 8;
/// `IPS_DST_NAT`.
pub(super) const DNAT: u32 = 1 << 5;

/// A packet on its way.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// Of IPv4 or IPv6.
    pub(super) family: Family,
    /// The link it came in by; `None` for the host's own.
    pub(super) by: Option<(String, u32)>,
    /// The link it goes out by.
    pub(super) to: Option<(String, u32)>,
    /// Who sends it.
    pub(super) source: Bytes,
    pub(super) destination: IpAddr,
    /// The transport's number.
    pub(super) protocol: u8,
    /// The port it is for; any if unknown.
    pub(super) port: Option<u16>,
    pub(super) mark: Option<u32>,
    /// Whether its destination has been rewritten.
    pub(super) translated: bool,
    /// Sent on by this link, should it be.
    pub(super) copied: bool,
    pub(super) registers: Bytes,
}

impl Packet {
    pub(super) fn new(destination: IpAddr, protocol: u8, port: Option<u16>) -> Self {
        let (family, length) = match destination {
            IpAddr::V4(_) => (Family::Ip, 4),
            IpAddr::V6(_) => (Family::Ip6, 16),
        };
        Self {
            family,
            by: None,
            to: None,
            source: vec![Byte::Any; length],
            destination,
            protocol,
            port,
            mark: Some(0),
            translated: false,
            copied: false,
            registers: vec![Byte::Any; REGISTERS],
        }
    }

    /// Byte for byte what `meta` reads (`enum nft_meta_keys`).
    pub(super) fn meta(&self, key: u32) -> Bytes {
        let index = |link: &Option<(String, u32)>| link.as_ref().map_or(0, |(_, index)| *index);
        let name = |link: &Option<(String, u32)>| {
            let name = link.as_ref().map_or("", |(name, _)| name.as_str());
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(16, 0);
            known(&bytes)
        };
        let is_v4 = self.destination.is_ipv4();
        match key {
            1 => known(&if is_v4 { [8, 0] } else { [0x86, 0xdd] }),
            3 => match self.mark {
                Some(mark) => known(&mark.to_ne_bytes()),
                None => vec![Byte::Any; 4],
            },
            4 => known(&index(&self.by).to_ne_bytes()),
            5 => known(&index(&self.to).to_ne_bytes()),
            6 => name(&self.by),
            7 => name(&self.to),
            15 => known(&[if is_v4 { 2 } else { 10 }]),
            16 => known(&[self.protocol]),
            // To this machine, as far as the wire is concerned.
            19 => known(&[0]),
            _ => vec![Byte::Any; 16],
        }
    }

    /// Bytes of a header: 1 is the network's, 2 the transport's.
    pub(super) fn payload(&self, base: u32, offset: usize, length: usize) -> Bytes {
        let mut header = vec![Byte::Any; 64.max(offset.saturating_add(length).min(4096))];
        let mut put = |at: usize, bytes: &[Byte]| {
            for (place, byte) in header.iter_mut().skip(at).zip(bytes) {
                *place = *byte;
            }
        };
        let destination = match self.destination {
            IpAddr::V4(ip) => known(&ip.octets()),
            IpAddr::V6(ip) => known(&ip.octets()),
        };
        match (base, self.destination) {
            (1, IpAddr::V4(_)) => {
                put(9, &known(&[self.protocol]));
                put(12, &self.source);
                put(16, &destination);
            }
            (1, IpAddr::V6(_)) => {
                put(6, &known(&[self.protocol]));
                put(8, &self.source);
                put(24, &destination);
            }
            (2, _) => {
                if let Some(port) = self.port {
                    put(2, &known(&port.to_be_bytes()));
                }
                if self.protocol == 6 {
                    // The first of a connection: SYN.
                    put(13, &[Byte::Is(2)]);
                }
            }
            _ => {}
        }
        let end = offset.saturating_add(length);
        header.get(offset..end).unwrap_or_default().to_vec()
    }

    /// What `ct` reads of a connection that begins.
    pub(super) fn conntrack(&self, key: u32) -> Bytes {
        match key {
            0 => known(&NEW.to_ne_bytes()),
            1 => known(&[0]),
            2 => known(&if self.translated { DNAT } else { 0 }.to_ne_bytes()),
            _ => vec![Byte::Any; 16],
        }
    }

    pub(super) fn load(&mut self, to: usize, bytes: &[Byte]) {
        // A register of four bytes is written as a whole.
        let padded = bytes.len().next_multiple_of(4);
        let bytes = bytes.iter().copied().chain(std::iter::repeat(Byte::Is(0)));
        for (place, byte) in self.registers.iter_mut().skip(to).zip(bytes.take(padded)) {
            *place = byte;
        }
    }

    pub(super) fn register(&self, from: usize, length: usize) -> Bytes {
        let bytes = self.registers.iter().skip(from).take(length);
        let mut bytes: Bytes = bytes.copied().collect();
        bytes.resize(length, Byte::Any);
        bytes
    }
}

/// Bytes that are known.
pub(super) fn known(bytes: &[u8]) -> Bytes {
    bytes.iter().copied().map(Byte::Is).collect()
}

/// The bytes, if all are known.
pub(super) fn all(bytes: &[Byte]) -> Option<Vec<u8>> {
    bytes.iter().map(|byte| byte.value()).collect()
}

/// The addresses of a network, as bytes of which those past its prefix are unknown. No kernel takes packets by a wire from
/// 127.0.0.0/8: nobody there is meant by "anyone".
pub(super) fn anyone_of(net: ipnet::IpNet) -> Bytes {
    let mut bytes = match net.network() {
        IpAddr::V4(ip) => known(&ip.octets()),
        IpAddr::V6(ip) => known(&ip.octets()),
    };
    let whole = usize::from(net.prefix_len() / 8);
    bytes
        .iter_mut()
        .skip(whole)
        .for_each(|byte| *byte = Byte::Any);
    if let (0, IpAddr::V4(_), Some(first)) = (whole, net.network(), bytes.first_mut()) {
        *first = Byte::Not(127);
    }
    bytes
}
