//! Expressions: the small instructions a rule is made of. Each reads or writes registers, or decides.

use super::Family;
use crate::message::{Attributes, Message};

const NAME: u16 = 1;
const DATA: u16 = 2;
const VALUE: u16 = 1;
const VERDICT: u16 = 2;

/// One of the sixteen registers of 32 bits. Longer values take the following ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(u32);

impl Register {
    /// The register that a verdict is written to.
    const VERDICT: Self = Self(0);

    /// The register with this number, 0 to 15.
    ///
    /// # Panics
    /// At compile time, for a number past 15, when used in a constant.
    #[must_use]
    pub const fn word(number: u32) -> Self {
        assert!(number < 16, "there are sixteen registers");
        Self(8 + number)
    }
}

/// What becomes of the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves this base chain and goes on.
    Accept,
    /// It ends here.
    Drop,
    /// Back to the calling chain.
    Return,
    /// On in another chain, and back.
    Jump(String),
    /// On in another chain.
    Goto(String),
}

/// What `meta` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaKey {
    /// The packet mark.
    Mark,
    /// Name of the link it came in by, 16 bytes.
    InName,
    /// Name of the link it goes out by, 16 bytes.
    OutName,
    /// Transport protocol number, one byte.
    TransportProtocol,
}

/// Where `payload` begins to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The network header.
    Network,
    /// The transport header.
    Transport,
}

/// How `cmp` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Goes on when equal.
    Equal,
    /// Goes on when different.
    NotEqual,
}

/// What `ct` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConntrackKey {
    /// New, established, ...: bits of the machine's order.
    State,
    /// Confirmed, translated, ...: bits of the machine's order.
    Status,
}

/// What `fib` looks up for the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FibResult {
    /// The type of the address: 2 is local.
    AddressType,
}

/// Which end `nat` rewrites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NatKind {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// An expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Reads a property of the packet.
    Meta {
        /// Which.
        key: MetaKey,
        /// Where to.
        to: Register,
    },
    /// Writes the packet mark.
    SetMark {
        /// The mark.
        from: Register,
    },
    /// Reads bytes of the packet.
    Payload {
        /// From which header.
        base: Base,
        /// First byte.
        offset: u32,
        /// How many.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// Ends the rule unless the register compares as wanted.
    Compare {
        /// What is compared.
        from: Register,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Vec<u8>,
    },
    /// `to = (from & mask) ^ xor`.
    Bitwise {
        /// What is masked.
        from: Register,
        /// Where to.
        to: Register,
        /// The bits kept; its length is the value's.
        mask: Vec<u8>,
        /// The bits turned.
        xor: Vec<u8>,
    },
    /// Ends the rule unless the key is in the set.
    Lookup {
        /// The set.
        set: String,
        /// First register of the key.
        from: Register,
        /// Whether it must be absent instead.
        inverted: Inverted,
    },
    /// Ends the rule unless the key is in the map; else reads its data.
    Map {
        /// The map.
        map: String,
        /// First register of the key.
        from: Register,
        /// First register of the data.
        to: Register,
    },
    /// The verdict that the map has for the key, if it has one.
    VerdictMap {
        /// The map.
        map: String,
        /// First register of the key.
        from: Register,
    },
    /// Reads from the connection's entry.
    Conntrack {
        /// What.
        key: ConntrackKey,
        /// Where to.
        to: Register,
    },
    /// Asks the routing tables about the destination.
    Fib {
        /// What.
        result: FibResult,
        /// Where to.
        to: Register,
    },
    /// Rewrites an end of the connection.
    Nat {
        /// Which end.
        kind: NatKind,
        /// Of which family.
        family: Family,
        /// The new address.
        address: Register,
        /// The new port.
        port: Option<Register>,
    },
    /// Rewrites the source to the address of the outgoing link.
    Masquerade,
    /// Sends a copy of the packet, which nobody tracks, to an address by a link.
    Duplicate {
        /// The address it is routed to.
        address: Register,
        /// The link's number, in the machine's order.
        device: Register,
    },
    /// Writes a constant.
    Immediate {
        /// Where to.
        to: Register,
        /// The constant.
        value: Vec<u8>,
    },
    /// Decides.
    Verdict(Verdict),
    /// Counts packets and bytes.
    Counter,
}

/// Whether a lookup wants the key to be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inverted {
    /// The key must be there.
    No,
    /// The key must not be there.
    Yes,
}

impl Expression {
    pub(super) fn put(&self, message: &mut Message) {
        message
            .text(NAME, self.name())
            .nest(DATA, |data| self.put_data(data));
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta { .. } | Self::SetMark { .. } => "meta",
            Self::Payload { .. } => "payload",
            Self::Compare { .. } => "cmp",
            Self::Bitwise { .. } => "bitwise",
            Self::Lookup { .. } | Self::Map { .. } | Self::VerdictMap { .. } => "lookup",
            Self::Conntrack { .. } => "ct",
            Self::Fib { .. } => "fib",
            Self::Nat { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Duplicate { .. } => "dup",
            Self::Immediate { .. } | Self::Verdict(_) => "immediate",
            Self::Counter => "counter",
        }
    }

    fn put_data(&self, data: &mut Message) {
        match self {
            Self::Meta { key, to } => {
                let key = match key {
                    MetaKey::Mark => 3,
                    MetaKey::InName => 6,
                    MetaKey::OutName => 7,
                    MetaKey::TransportProtocol => 16,
                };
                data.be32(2, key).be32(1, to.0);
            }
            Self::SetMark { from } => {
                data.be32(2, 3).be32(3, from.0);
            }
            Self::Payload {
                base,
                offset,
                length,
                to,
            } => {
                let base = match base {
                    Base::Network => 1,
                    Base::Transport => 2,
                };
                data.be32(1, to.0)
                    .be32(2, base)
                    .be32(3, *offset)
                    .be32(4, *length);
            }
            Self::Compare {
                from,
                comparison,
                value,
            } => {
                data.be32(1, from.0)
                    .be32(2, u32::from(*comparison == Comparison::NotEqual));
                put_value(data, 3, value);
            }
            Self::Bitwise {
                from,
                to,
                mask,
                xor,
            } => {
                data.be32(1, from.0)
                    .be32(2, to.0)
                    .be32(3, u32::try_from(mask.len()).unwrap_or(u32::MAX));
                put_value(data, 4, mask);
                put_value(data, 5, xor);
            }
            Self::Lookup {
                set,
                from,
                inverted,
            } => {
                data.text(1, set).be32(2, from.0);
                if *inverted == Inverted::Yes {
                    data.be32(5, 1);
                }
            }
            Self::Map { map, from, to } => {
                data.text(1, map).be32(2, from.0).be32(3, to.0);
            }
            Self::VerdictMap { map, from } => {
                data.text(1, map)
                    .be32(2, from.0)
                    .be32(3, Register::VERDICT.0);
            }
            Self::Conntrack { key, to } => {
                let key = match key {
                    ConntrackKey::State => 0,
                    ConntrackKey::Status => 2,
                };
                data.be32(2, key).be32(1, to.0);
            }
            Self::Fib {
                result: FibResult::AddressType,
                to,
            } => {
                data.be32(3, 2).be32(2, 3).be32(1, to.0);
            }
            Self::Nat {
                kind,
                family,
                address,
                port,
            } => {
                data.be32(1, u32::from(*kind == NatKind::Destination))
                    .be32(2, u32::from(family.number()))
                    .be32(3, address.0);
                if let Some(port) = port {
                    data.be32(5, port.0);
                }
            }
            Self::Masquerade | Self::Counter => {}
            Self::Duplicate { address, device } => {
                data.be32(1, address.0).be32(2, device.0);
            }
            Self::Immediate { to, value } => {
                data.be32(1, to.0);
                put_value(data, 2, value);
            }
            Self::Verdict(verdict) => {
                data.be32(1, Register::VERDICT.0)
                    .nest(2, |inner| verdict.put(inner));
            }
        }
    }
}

impl Verdict {
    /// Appends the `NFTA_DATA_VERDICT` attribute.
    pub(super) fn put(&self, message: &mut Message) {
        let (code, chain): (i32, _) = match self {
            Self::Drop => (0, None),
            Self::Accept => (1, None),
            Self::Return => (-5, None),
            Self::Jump(chain) => (-3, Some(chain)),
            Self::Goto(chain) => (-4, Some(chain)),
        };
        message.nest(VERDICT, |verdict| {
            verdict.attribute(1, &code.to_be_bytes());
            if let Some(chain) = chain {
                verdict.text(2, chain);
            }
        });
    }
}

impl Verdict {
    /// Reads what has a `NFTA_DATA_VERDICT` attribute.
    pub(super) fn read(data: Attributes<'_>) -> Option<Self> {
        let verdict = data.inside(VERDICT);
        let code = i32::from_be_bytes(verdict.be32(1)?.to_be_bytes());
        let chain = || verdict.text(2).map(str::to_owned);
        Some(match code {
            0 => Self::Drop,
            1 => Self::Accept,
            -5 => Self::Return,
            -3 => Self::Jump(chain()?),
            -4 => Self::Goto(chain()?),
            _ => return None,
        })
    }
}

pub(super) fn put_value(message: &mut Message, kind: u16, value: &[u8]) {
    message.nest(kind, |data| {
        data.attribute(VALUE, value);
    });
}
