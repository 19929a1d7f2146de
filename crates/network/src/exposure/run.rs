//! What the rules of a chain make of a packet, as the kernel runs them. Where something is unknown both ways are gone, and
//! what comes of it is all that may.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::IpAddr;

use onggi_netlink::nft::{
    Data, Family, Hook, Installed, InstalledChain, InstalledRule, InstalledSet, Policy, Step,
    Verdict,
};

use super::packet::{Byte, Bytes, NEW, Packet, all, known};

/// How deep the kernel lets chains call each other (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

/// Whether it is so: for none, for some, or for all that the packet stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whether {
    No,
    Maybe,
    Yes,
}

impl Whether {
    pub(super) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }

    fn from(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

/// What may come of a rule or a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ends {
    /// On to what follows.
    on: bool,
    accept: bool,
    drop: bool,
    /// Back to the chain that called.
    back: bool,
}

impl Ends {
    const ON: Self = Self {
        on: true,
        accept: false,
        drop: false,
        back: false,
    };

    fn and(self, other: Self) -> Self {
        Self {
            on: self.on || other.on,
            accept: self.accept || other.accept,
            drop: self.drop || other.drop,
            back: self.back || other.back,
        }
    }
}

/// The rules, and who asks them.
pub(super) struct Rules<'a> {
    pub(super) installed: &'a Installed,
    /// The addresses of the host.
    pub(super) local: &'a BTreeSet<IpAddr>,
    /// Elements with this comment do not count.
    pub(super) beside: Option<&'a str>,
    /// Which rules end packets, and what made the answer less than certain.
    pub(super) why: BTreeSet<String>,
}

impl<'a> Rules<'a> {
    /// Whether the packet gets through all chains of a hook.
    pub(super) fn pass(&mut self, family: Family, hook: Hook, packet: &mut Packet) -> Whether {
        let installed = self.installed;
        let is_asked = |chain: &&InstalledChain| {
            let of = chain.family == family
                || (chain.family == Family::Inet && family != Family::Bridge);
            of && chain.entry.is_some_and(|entry| entry.hook == hook)
        };
        let mut chains: Vec<&InstalledChain> = installed.chains.iter().filter(is_asked).collect();
        chains.sort_by_key(|chain| chain.entry.map_or(0, |entry| entry.priority));
        let mut whether = Whether::Yes;
        let mut rewritten = false;
        for chain in chains {
            let Some(entry) = chain.entry else { continue };
            // What has its addresses already is not asked about them again.
            if entry.nat && rewritten {
                continue;
            }
            let before = packet.translated;
            let ends = self.chain(chain, packet, 0);
            rewritten |= entry.nat && packet.translated != before;
            let at_end = ends.on || ends.back;
            let drops_at_end = at_end && entry.policy == Policy::Drop;
            if drops_at_end {
                self.why.insert(format!("{} (policy drop)", place(chain)));
            }
            if !ends.accept && (!at_end || drops_at_end) {
                // A copy goes on.
                return if packet.copied { whether } else { Whether::No };
            }
            if ends.drop || drops_at_end {
                whether = Whether::Maybe;
            }
        }
        whether
    }

    fn chain(&mut self, chain: &InstalledChain, packet: &mut Packet, depth: usize) -> Ends {
        let mut ends = Ends::default();
        for rule in &chain.rules {
            let one = self.rule(chain, rule, packet, depth);
            ends = ends.and(Ends { on: false, ..one });
            if !one.on {
                return ends;
            }
        }
        ends.and(Ends::ON)
    }

    fn rule(
        &mut self,
        chain: &InstalledChain,
        rule: &InstalledRule,
        packet: &mut Packet,
        depth: usize,
    ) -> Ends {
        let mut sure = true;
        for step in &rule.steps {
            let matches = match step {
                Step::Verdict(verdict) => {
                    let ends = self.verdict(chain, rule, verdict, packet, depth);
                    return otherwise(ends, sure);
                }
                Step::Lookup {
                    set,
                    from,
                    to,
                    inverted,
                    verdicts,
                } => {
                    let key = (chain.family, chain.table.clone(), set.clone());
                    let Some(set) = self.installed.sets.get(&key) else {
                        return self.unknown(chain, rule, set);
                    };
                    let (found, data) = self.look_up(set, packet, *from);
                    if *verdicts {
                        let mut ends = Ends::default();
                        for data in &data {
                            if let Data::Verdict(verdict) = data {
                                let one = self.verdict(chain, rule, verdict, packet, depth);
                                ends = ends.and(one);
                            }
                        }
                        if found != Whether::Yes {
                            ends.on = true;
                        }
                        return otherwise(ends, sure);
                    }
                    if let Some(to) = to {
                        load_data(packet, *to, &data);
                    }
                    if *inverted { found.not() } else { found }
                }
                Step::Destination(address, port) => {
                    if !sure || !rewrite(packet, *address, *port) {
                        let way = "rewrites the destination of some";
                        self.why.insert(format!("{} {way}", named(chain, rule)));
                        return Ends::ON.and(Ends {
                            drop: true,
                            ..Ends::default()
                        });
                    }
                    return Ends {
                        accept: true,
                        ..Ends::default()
                    };
                }
                Step::Source => {
                    return otherwise(
                        Ends {
                            accept: true,
                            ..Ends::default()
                        },
                        sure,
                    );
                }
                Step::Redirect => {
                    self.why.insert(format!(
                        "{} takes it for the host itself",
                        named(chain, rule)
                    ));
                    return otherwise(
                        Ends {
                            drop: true,
                            ..Ends::default()
                        },
                        sure,
                    );
                }
                Step::Reject => {
                    self.why.insert(named(chain, rule));
                    return otherwise(
                        Ends {
                            drop: true,
                            ..Ends::default()
                        },
                        sure,
                    );
                }
                Step::Target(name) => match name.as_str() {
                    "LOG" | "NFLOG" | "ULOG" | "TRACE" | "CONNMARK" | "TCPMSS" | "CT" => {
                        Whether::Yes
                    }
                    "REJECT" => {
                        self.why.insert(named(chain, rule));
                        return otherwise(
                            Ends {
                                drop: true,
                                ..Ends::default()
                            },
                            sure,
                        );
                    }
                    "MASQUERADE" | "SNAT" => {
                        return otherwise(
                            Ends {
                                accept: true,
                                ..Ends::default()
                            },
                            sure,
                        );
                    }
                    other => return self.unknown(chain, rule, other),
                },
                Step::Other(name) => {
                    // It may match, and may not; what it is good for is seen at the end of the rule.
                    if name == "immediate" || name == "queue" {
                        return self.unknown(chain, rule, name);
                    }
                    packet.registers.fill(Byte::Any);
                    Whether::Maybe
                }
                Step::Duplicate(_) => {
                    packet.copied = true;
                    Whether::Yes
                }
                step => self.step(step, packet, sure),
            };
            match matches {
                Whether::No => return Ends::ON,
                Whether::Maybe => sure = false,
                Whether::Yes => {}
            }
        }
        Ends::ON
    }

    /// What is only read, compared and written.
    fn step(&self, step: &Step, packet: &mut Packet, sure: bool) -> Whether {
        match step {
            Step::Meta(key, to) => {
                let bytes = packet.meta(*key);
                packet.load(*to, &bytes);
            }
            Step::SetMeta(3, from) => {
                let bytes = all(&packet.register(*from, 4)).and_then(|b| b.try_into().ok());
                packet.mark = bytes.map(u32::from_ne_bytes).filter(|_| sure);
            }
            Step::Payload {
                base,
                offset,
                length,
                to,
            } => {
                let bytes = packet.payload(*base, *offset, *length);
                packet.load(*to, &bytes);
            }
            Step::Compare(from, how, value) => {
                return compare(&packet.register(*from, value.len()), *how, value);
            }
            Step::Range {
                from,
                inverted,
                low,
                high,
            } => {
                let inside = within(&packet.register(*from, low.len()), low, high);
                return if *inverted { inside.not() } else { inside };
            }
            Step::Bitwise {
                from,
                to,
                mask,
                xor,
            } => {
                let bytes = packet.register(*from, mask.len());
                let masked = bytes.iter().zip(mask).zip(xor);
                let bytes: Bytes = masked
                    .map(|((byte, mask), xor)| match (byte, mask) {
                        (_, 0) => Byte::Is(*xor),
                        (Byte::Is(byte), mask) => Byte::Is((byte & mask) ^ xor),
                        (byte, 255) if *xor == 0 => *byte,
                        _ => Byte::Any,
                    })
                    .collect();
                packet.load(*to, &bytes);
            }
            Step::Load(to, value) => packet.load(*to, &known(value)),
            Step::Conntrack(key, to) => {
                let bytes = packet.conntrack(*key);
                packet.load(*to, &bytes);
            }
            Step::Fib { result, flags, to } => {
                let bytes = self.route(packet, *result, *flags);
                packet.load(*to, &bytes);
            }
            Step::Match(name, data) => return iptables(name, data, packet, self.local),
            _ => {}
        }
        Whether::Yes
    }

    fn verdict(
        &mut self,
        chain: &InstalledChain,
        rule: &InstalledRule,
        verdict: &Verdict,
        packet: &mut Packet,
        depth: usize,
    ) -> Ends {
        let one = Ends::default();
        match verdict {
            Verdict::Accept => Ends {
                accept: true,
                ..one
            },
            Verdict::Drop => {
                // What goes on as a copy is not gone.
                if !packet.copied {
                    self.why.insert(named(chain, rule));
                }
                Ends { drop: true, ..one }
            }
            Verdict::Return => Ends { back: true, ..one },
            Verdict::Jump(name) | Verdict::Goto(name) => {
                let installed = self.installed;
                let is_it = |other: &&InstalledChain| {
                    (other.family, &other.table, &other.name) == (chain.family, &chain.table, name)
                };
                let Some(other) = installed
                    .chains
                    .iter()
                    .find(is_it)
                    .filter(|_| depth < DEPTH)
                else {
                    return self.unknown(chain, rule, name);
                };
                let ends = self.chain(other, packet, depth + 1);
                let end = ends.on || ends.back;
                let goes = matches!(verdict, Verdict::Goto(_));
                Ends {
                    on: end && !goes,
                    back: end && goes,
                    ..ends
                }
            }
        }
    }

    /// A rule that may do anything.
    fn unknown(&mut self, chain: &InstalledChain, rule: &InstalledRule, what: &str) -> Ends {
        let named = named(chain, rule);
        self.why.insert(format!("{named} (\"{what}\" decides)"));
        Ends {
            on: true,
            drop: true,
            accept: true,
            back: false,
        }
    }

    /// What `fib` says: the type of an address; by which link the way back leads.
    fn route(&self, packet: &Packet, result: u32, flags: u32) -> Bytes {
        const SOURCE: u32 = 1;
        const DESTINATION: u32 = 2;
        const TYPE: u32 = 3;
        let (unicast, local) = (1_u32, 2_u32);
        match result {
            TYPE if flags & DESTINATION != 0 => {
                let kind = if self.is_local(packet.destination) {
                    local
                } else {
                    unicast
                };
                known(&kind.to_ne_bytes())
            }
            TYPE => known(&unicast.to_ne_bytes()),
            // Who asks has the addresses that are behind the link.
            1 if flags & SOURCE != 0 => packet.meta(4),
            2 if flags & SOURCE != 0 => packet.meta(6),
            _ => vec![Byte::Any; 16],
        }
    }

    pub(super) fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.local.contains(&ip)
    }

    /// Whether the key in the registers is in a set, and what the set has for it, or may have.
    fn look_up(&self, set: &InstalledSet, packet: &Packet, from: usize) -> (Whether, Vec<Data>) {
        let counts = |tag: &Option<String>| match (self.beside, tag.as_deref()) {
            (Some(beside), Some(tag)) => beside != tag,
            _ => true,
        };
        let mut found = Whether::No;
        let mut data = Vec::new();
        let mut take = |whether: Whether, element: &onggi_netlink::nft::Element| {
            if whether != Whether::No {
                found = found.max(whether);
                data.extend(element.data.clone());
            }
        };
        let is_simple = set.ranges && set.elements.iter().all(|one| one.last.is_none());
        if is_simple {
            let mut marks: Vec<_> = set.elements.iter().collect();
            // Where one range ends and another begins, the beginning is what counts.
            marks.sort_by(|a, b| a.key.cmp(&b.key).then(b.ends.cmp(&a.ends)));
            for (at, element) in marks.iter().enumerate().filter(|(_, one)| !one.ends) {
                let key = packet.register(from, element.key.len());
                let behind = marks.get(at + 1).map(|next| next.key.clone());
                let whether = match behind {
                    Some(behind) => both(compare(&key, 5, &element.key), compare(&key, 2, &behind)),
                    None => compare(&key, 5, &element.key),
                };
                if counts(&element.tag) {
                    take(whether, element);
                }
            }
            return (found, data);
        }
        for element in set.elements.iter().filter(|one| counts(&one.tag)) {
            let key = packet.register(from, element.key.len());
            let whether = match &element.last {
                None => compare(&key, 0, &element.key),
                Some(last) => {
                    let whole = [element.key.len()];
                    let fields: &[usize] = if set.fields.is_empty() {
                        &whole
                    } else {
                        &set.fields
                    };
                    let (mut at, mut whether) = (0, Whether::Yes);
                    for field in fields {
                        let part = at..(at + field).min(element.key.len()).min(last.len());
                        let (Some(key), Some(low), Some(high)) = (
                            key.get(part.clone()),
                            element.key.get(part.clone()),
                            last.get(part),
                        ) else {
                            break;
                        };
                        whether = both(whether, within(key, low, high));
                        at += field.next_multiple_of(4);
                    }
                    whether
                }
            };
            take(whether, element);
        }
        (found, data)
    }
}

/// Not all that the packet stands for got as far as this rule's verdict.
fn otherwise(ends: Ends, sure: bool) -> Ends {
    if sure { ends } else { ends.and(Ends::ON) }
}

/// Both are so.
pub(super) fn both(one: Whether, other: Whether) -> Whether {
    one.min(other)
}

/// What a map has, if it has one thing.
fn load_data(packet: &mut Packet, to: usize, data: &[Data]) {
    match data {
        [Data::Value(value)] => packet.load(to, &known(value)),
        _ => packet.load(to, &[Byte::Any; 20]),
    }
}

/// Whether the new destination could be told.
fn rewrite(packet: &mut Packet, address: Option<usize>, port: Option<usize>) -> bool {
    let bytes = |from: usize, length: usize| all(&packet.register(from, length));
    let address = match (address, packet.destination) {
        (None, ip) => Some(ip),
        (Some(from), IpAddr::V4(_)) => bytes(from, 4)
            .and_then(|b| <[u8; 4]>::try_from(b).ok())
            .map(IpAddr::from),
        (Some(from), IpAddr::V6(_)) => bytes(from, 16)
            .and_then(|b| <[u8; 16]>::try_from(b).ok())
            .map(IpAddr::from),
    };
    let port = match port {
        None => Some(packet.port),
        Some(from) => bytes(from, 2)
            .and_then(|b| <[u8; 2]>::try_from(b).ok())
            .map(|b| Some(u16::from_be_bytes(b))),
    };
    let (Some(address), Some(port)) = (address, port) else {
        return false;
    };
    packet.destination = address;
    packet.port = port;
    packet.translated = true;
    true
}

/// The least and the greatest that the bytes can be.
fn bounds(bytes: &[Byte]) -> (Vec<u8>, Vec<u8>) {
    let fill = |by: u8| {
        bytes
            .iter()
            .map(|byte| byte.value().unwrap_or(by))
            .collect()
    };
    (fill(0), fill(u8::MAX))
}

fn compare(bytes: &[Byte], how: u32, value: &[u8]) -> Whether {
    let equal = || {
        let pairs = || bytes.iter().zip(value);
        let differs = |(byte, value): (&Byte, &u8)| match byte {
            Byte::Is(byte) => byte != value,
            Byte::Not(byte) => byte == value,
            Byte::Any => false,
        };
        if pairs().any(differs) {
            Whether::No
        } else if pairs().any(|(byte, _)| byte.value().is_none()) {
            Whether::Maybe
        } else {
            Whether::Yes
        }
    };
    let (least, greatest) = bounds(bytes);
    let orders = [least.as_slice().cmp(value), greatest.as_slice().cmp(value)];
    let is = |fits: fn(Ordering) -> bool| match orders.map(fits) {
        [true, true] => Whether::Yes,
        [false, false] => Whether::No,
        _ => Whether::Maybe,
    };
    match how {
        0 => equal(),
        1 => equal().not(),
        2 => is(Ordering::is_lt),
        3 => is(Ordering::is_le),
        4 => is(Ordering::is_gt),
        5 => is(Ordering::is_ge),
        _ => Whether::Maybe,
    }
}

fn within(bytes: &[Byte], low: &[u8], high: &[u8]) -> Whether {
    let (least, greatest) = bounds(bytes);
    if greatest.as_slice() < low || least.as_slice() > high {
        Whether::No
    } else if least.as_slice() >= low && greatest.as_slice() <= high {
        Whether::Yes
    } else {
        Whether::Maybe
    }
}

/// The matches that iptables has no words of nftables for, as far as firewalls of many use them.
fn iptables(name: &str, data: &[u8], packet: &Packet, local: &BTreeSet<IpAddr>) -> Whether {
    let word = |at: usize| {
        let bytes = data.get(at..at + 2)?;
        Some(u16::from_ne_bytes(bytes.try_into().ok()?))
    };
    let answer = || match name {
        "comment" => Some(Whether::Yes),
        // struct xt_tcp and xt_udp: ranges of source and destination ports, then what is turned.
        "tcp" | "udp" => {
            let is_any = |at| Some(word(at)? == 0 && word(at + 2)? == u16::MAX);
            let turned = *data.get(if name == "tcp" { 11 } else { 8 })?;
            let flags = if name == "tcp" { *data.get(9)? } else { 0 };
            if !is_any(0)? || turned & !2 != 0 || flags != 0 {
                return None;
            }
            let port = packet.port;
            let inside = match port {
                Some(port) => Whether::from((word(4)?..=word(6)?).contains(&port)),
                None if is_any(4)? => Whether::Yes,
                None => Whether::Maybe,
            };
            Some(if turned & 2 != 0 {
                inside.not()
            } else {
                inside
            })
        }
        // struct xt_conntrack_mtinfo3, where it is asked for states alone.
        "conntrack" => {
            let (asked, turned, states) = (word(146)?, word(148)?, word(150)?);
            if asked != 1 {
                return None;
            }
            const REWRITTEN: u16 = 1 << 7;
            let is = states & u16::try_from(NEW).ok()? != 0
                || (packet.translated && states & REWRITTEN != 0);
            Some(Whether::from(is != (turned & 1 != 0)))
        }
        // struct xt_addrtype_info_v1: the types of source and destination as bits.
        "addrtype" => {
            let (source, destination) = (word(0)?, word(2)?);
            let turned = u32::from_ne_bytes(data.get(4..8)?.try_into().ok()?);
            if source != 0 || turned & !2 != 0 {
                return None;
            }
            let ip = packet.destination;
            let is_local = ip.is_loopback() || local.contains(&ip);
            let kind = 1_u16 << if is_local { 2 } else { 1 };
            Some(Whether::from(
                (destination & kind != 0) != (turned & 2 != 0),
            ))
        }
        _ => None,
    };
    answer().unwrap_or(Whether::Maybe)
}

fn place(chain: &InstalledChain) -> String {
    let family = match chain.family {
        Family::Inet => "inet",
        Family::Ip => "ip",
        Family::Ip6 => "ip6",
        Family::Bridge => "bridge",
    };
    format!("{family} {} {}", chain.table, chain.name)
}

/// Where a rule is, and what it is for if it says so.
fn named(chain: &InstalledChain, rule: &InstalledRule) -> String {
    let place = place(chain);
    match rule.tag.as_deref() {
        None => place,
        // Behind it stands what it does, as a number.
        Some(tag) => format!("{place} ({})", tag.split(" #").next().unwrap_or(tag)),
    }
}
