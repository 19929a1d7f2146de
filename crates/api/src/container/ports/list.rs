//! Ports in a list of containers: one object a port on the wire, runs in memory.

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use crate::container::PortSummary;
use crate::go::Zero;

/// Ports of a container in a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortList(Vec<PortRun>);

/// Ports that follow each other, on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct PortRun {
    /// The first.
    pub first: PortSummary,
    /// How many.
    pub length: u16,
}

impl PortList {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ports there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|run| usize::from(run.length)).sum()
    }

    /// The runs.
    pub fn runs(&self) -> impl Iterator<Item = &PortRun> {
        self.0.iter()
    }

    /// Each port on its own.
    pub fn iter(&self) -> impl Iterator<Item = PortSummary> {
        self.0.iter().flat_map(PortRun::each)
    }

    /// Adds ports: to the last run, if that goes on with them.
    pub fn push(&mut self, next: PortRun) {
        match self.0.last_mut() {
            Some(last) if last.goes_on(&next) => last.length += next.length,
            _ => self.0.push(next),
        }
    }
}

impl PortRun {
    /// Each port on its own.
    pub fn each(&self) -> impl Iterator<Item = PortSummary> {
        (0..self.length).map(|by| self.at(by))
    }

    fn at(&self, by: u16) -> PortSummary {
        let first = &self.first;
        PortSummary {
            ip: first.ip.clone(),
            private_port: first.private_port.saturating_add(by),
            public_port: match first.public_port {
                0 => 0,
                port => port.saturating_add(by),
            },
            kind: first.kind.clone(),
        }
    }

    fn goes_on(&self, next: &Self) -> bool {
        let (own, next) = (&self.first, &next.first);
        let public = match own.public_port {
            0 => Some(0),
            port => port.checked_add(self.length),
        };
        own.private_port.checked_add(self.length) == Some(next.private_port)
            && public == Some(next.public_port)
            && own.ip == next.ip
            && own.kind == next.kind
    }
}

impl FromIterator<PortRun> for PortList {
    fn from_iter<I: IntoIterator<Item = PortRun>>(runs: I) -> Self {
        let mut list = Self::default();
        for run in runs {
            list.push(run);
        }
        list
    }
}

impl Serialize for PortList {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut seq = to.serialize_seq(None)?;
        for port in self.iter() {
            seq.serialize_element(&port)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for PortList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Ports;
        impl<'de> Visitor<'de> for Ports {
            type Value = PortList;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a list of ports")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PortList, A::Error> {
                let mut list = PortList::default();
                while let Some(first) = seq.next_element::<PortSummary>()? {
                    list.push(PortRun { first, length: 1 });
                }
                Ok(list)
            }
        }
        from.deserialize_seq(Ports)
    }
}

impl Zero for PortList {
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
    fn is_empty_collection(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_and_are_written_one_by_one() {
        let port = |ip: &str, private_port: u16, public_port: u16| PortSummary {
            ip: ip.to_owned(),
            private_port,
            public_port,
            kind: "udp".to_owned(),
        };
        let mut all: Vec<_> = (20_000..60_000)
            .map(|p| port("0.0.0.0", p, p + 1))
            .collect();
        all.extend((20_000..60_000).map(|p| port("::", p, p)));
        all.extend([
            port("", 1, 0),
            port("", 2, 0),
            port("", 3, 7),
            port("", 5, 0),
        ]);
        let text = serde_json::to_string(&all).unwrap();
        let list: PortList = serde_json::from_str(&text).unwrap();
        let lengths: Vec<u16> = list.runs().map(|run| run.length).collect();
        assert_eq!(lengths, [40_000, 40_000, 2, 1, 1]);
        assert_eq!(serde_json::to_string(&list).unwrap(), text);
    }
}
