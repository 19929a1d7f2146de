//! Ports of containers, by `80/tcp`: Go's maps on the wire, runs of neighbours in memory. 40,000 published ports are one
//! run, and a few of one document's texts.

mod list; // ports in a list of containers
mod run; // neighbours, and how they are put together

use std::cell::Cell;
use std::fmt;

use onggi_model::{Port, Protocol};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::container::PortBinding;
use crate::go::{Empty, Zero};
pub use list::{PortList, PortRun};
use run::{Key, Run, Runs, Step};

thread_local! {
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// Writes and reads documents as they are kept, not as clients see them: a run of ports is one entry, by
/// `8000-8010/tcp`, with what its first port has.
pub fn as_runs<T>(work: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            RUNS.set(self.0);
        }
    }
    let _before = Before(RUNS.replace(true));
    work()
}

/// What a port is bound to: nothing said, or a list.
type Bindings = Option<Vec<PortBinding>>;

/// Where ports are published, by `80/tcp`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortMap(Runs<Bindings>);

/// Ports by `80/tcp`: Go's set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortSet(Runs<Empty>);

/// Entries in the order of their texts, made one by one.
type Entries<'a, V> = Box<dyn Iterator<Item = (String, V)> + 'a>;

impl PortMap {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    /// How many ports there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many runs of neighbours there are.
    #[must_use]
    pub fn run_count(&self) -> usize {
        self.0.0.len()
    }

    /// What the port, `80/tcp`, is bound to.
    #[must_use]
    pub fn get(&self, port: &str) -> Option<Option<Vec<PortBinding>>> {
        self.0.get(port)
    }

    /// All ports, in the order of their texts.
    pub fn iter(&self) -> Entries<'_, Option<Vec<PortBinding>>> {
        Box::new(self.0.in_order())
    }

    /// The runs: the first port's text, how many ports, and what the first is bound to. The others are bound to the ports
    /// of the host that follow.
    pub fn runs(&self) -> impl Iterator<Item = (String, u16, &Option<Vec<PortBinding>>)> {
        let runs = self.0.0.iter();
        runs.map(|run| (run.first.text(0), run.length, &run.value))
    }

    /// From runs that may lie over each other: each port has all its bindings, in the order they come here; those of a
    /// longer run go on by one with each port. A run without a binding is only exposed.
    #[must_use]
    pub fn overlay(runs: impl IntoIterator<Item = (Port, u16, Option<PortBinding>)>) -> Self {
        /// One run: the first port, the one after the last, its place, its binding.
        type Layer = (Protocol, u32, u32, usize, Option<PortBinding>);
        let layer = |(place, (port, length, binding)): (usize, (Port, u16, _))| -> Layer {
            let first = u32::from(port.number);
            (
                port.protocol,
                first,
                first + u32::from(length),
                place,
                binding,
            )
        };
        let mut layers: Vec<Layer> = runs.into_iter().enumerate().map(layer).collect();
        layers.sort_by_key(|(protocol, first, _, place, _)| (*protocol, *first, *place));
        let ends = layers
            .iter()
            .flat_map(|(protocol, first, end, ..)| [(*protocol, *first), (*protocol, *end)]);
        let mut cuts: Vec<(Protocol, u32)> = ends.collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut all = Runs::default();
        let mut coming = layers.iter().peekable();
        let mut open: Vec<&Layer> = Vec::new();
        for pair in cuts.windows(2) {
            let ((protocol, from), (_, to)) = (pair[0], pair[1]);
            open.retain(|(theirs, _, end, ..)| *theirs == protocol && *end > from);
            while let Some(next) = coming.next_if(|(p, first, ..)| (*p, *first) == (protocol, from))
            {
                open.push(next);
            }
            let (Ok(number), Ok(length)) = (u16::try_from(from), u16::try_from(to.abs_diff(from)))
            else {
                continue;
            };
            if open.is_empty() {
                continue;
            }
            open.sort_by_key(|(_, _, _, place, _)| *place);
            let bound = open.iter().filter_map(|(_, first, _, _, binding)| {
                let by = number.saturating_sub(u16::try_from(*first).ok()?);
                binding.as_ref()?.step(by)
            });
            let bound: Vec<PortBinding> = bound.collect();
            all.push_run(Run {
                first: Key::Port { protocol, number },
                value: Some(bound).filter(|bound| !bound.is_empty()),
                length,
            });
        }
        Self(all.settled())
    }
}

impl PortMap {
    /// Without the ports of these runs, and only those.
    #[must_use]
    pub fn cut(&self, ports: &[(Port, u16)]) -> (Self, Self) {
        let (mut left, mut taken) = (Runs::default(), Runs::default());
        for run in &self.0.0 {
            let Key::Port { protocol, number } = run.first else {
                left.push_run(run.clone());
                continue;
            };
            let same = ports.iter().filter(|(port, _)| port.protocol == protocol);
            let mut here: Vec<(u16, u16)> = same
                .map(|(port, length)| {
                    let end = u32::from(port.number) + u32::from(*length);
                    let end = end.saturating_sub(u32::from(number));
                    let from = port.number.saturating_sub(number);
                    (from, u16::try_from(end).unwrap_or(u16::MAX).min(run.length))
                })
                .collect();
            here.sort_unstable();
            let mut at = 0;
            for (from, end) in here {
                let from = from.max(at).min(run.length);
                if end <= from {
                    continue;
                }
                left.extend(run.part(at, from));
                taken.extend(run.part(from, end));
                at = end;
            }
            left.extend(run.part(at, run.length));
        }
        (Self(left.settled()), Self(taken.settled()))
    }

    /// With other ports: one of both has the bindings of both.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        Self::overlay(self.layers().chain(other.layers()))
    }

    fn layers(&self) -> impl Iterator<Item = (Port, u16, Option<PortBinding>)> {
        self.0.0.iter().flat_map(|run| {
            let Key::Port { protocol, number } = run.first else {
                return Vec::new();
            };
            let layer = |binding| (Port::new(number, protocol), run.length, binding);
            match run.value.as_deref() {
                None | Some([]) => vec![layer(None)],
                Some(bindings) => bindings.iter().cloned().map(Some).map(layer).collect(),
            }
        })
    }
}

impl PortSet {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    /// How many ports there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many runs of neighbours there are.
    #[must_use]
    pub fn run_count(&self) -> usize {
        self.0.0.len()
    }

    /// All ports, in the order of their texts.
    pub fn iter(&self) -> Entries<'_, Empty> {
        Box::new(self.0.in_order())
    }

    /// The runs: the first port's text, and how many ports.
    pub fn runs(&self) -> impl Iterator<Item = (String, u16)> {
        self.0.0.iter().map(|run| (run.first.text(0), run.length))
    }

    /// Adds ports.
    pub fn extend(&mut self, ports: impl IntoIterator<Item = String>) {
        let mut all = std::mem::take(&mut self.0);
        for port in ports {
            all.push(Key::of(&port), Empty);
        }
        self.0 = all.settled();
    }
}

impl FromIterator<(String, Option<Vec<PortBinding>>)> for PortMap {
    fn from_iter<I: IntoIterator<Item = (String, Option<Vec<PortBinding>>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl FromIterator<(String, Empty)> for PortSet {
    fn from_iter<I: IntoIterator<Item = (String, Empty)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a PortMap {
    type Item = (String, Option<Vec<PortBinding>>);
    type IntoIter = Entries<'a, Option<Vec<PortBinding>>>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a PortSet {
    type Item = (String, Empty);
    type IntoIter = Entries<'a, Empty>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<V: Step + Serialize> Serialize for Runs<V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if RUNS.get() {
            for run in &self.0 {
                map.serialize_entry(&run.text(), &run.value)?;
            }
        } else {
            for (port, value) in self.in_order() {
                map.serialize_entry(&port, &value)?;
            }
        }
        map.end()
    }
}

/// A key as it comes; no text is made of it.
struct Read(Key, Option<u16>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Read;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a port")
            }
            fn visit_str<E>(self, text: &str) -> Result<Read, E> {
                Ok(match RUNS.get() {
                    true => {
                        let (key, length) = Key::kept(text);
                        Read(key, Some(length))
                    }
                    false => Read(Key::of(text), None),
                })
            }
        }
        from.deserialize_str(Text)
    }
}

impl<'de, V: Step + Deserialize<'de>> Deserialize<'de> for Runs<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries<V>(std::marker::PhantomData<V>);
        impl<'de, V: Step + Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Runs<V>;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a map of ports")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Runs<V>, A::Error> {
                let mut runs = Runs::default();
                while let Some((Read(first, length), value)) = map.next_entry::<Read, V>()? {
                    match length {
                        Some(length) => runs.0.push(Run {
                            first,
                            value,
                            length,
                        }),
                        None => runs.push(first, value),
                    }
                }
                Ok(runs.settled())
            }
        }
        from.deserialize_map(Entries(std::marker::PhantomData))
    }
}

macro_rules! wire {
    ($($name:ident),*) => {
        $(
            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    self.0.serialize(to)
                }
            }
            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    Runs::deserialize(from).map(Self)
                }
            }
            impl Zero for $name {
                fn is_zero(&self) -> bool {
                    self.is_empty()
                }
                fn is_empty_collection(&self) -> bool {
                    self.is_empty()
                }
            }
        )*
    };
}
wire!(PortMap, PortSet);

#[cfg(test)]
mod tests;
