//! Ports of containers, by `80/tcp`: Go's maps on the wire, runs of neighbours in memory. 40,000 published ports are one
//! run, and a few of one document's texts.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::container::PortBinding;
use crate::go::{Empty, Zero};

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

/// Where ports are published, by `80/tcp`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortMap(Runs<Option<Vec<PortBinding>>>);

/// Ports by `80/tcp`: Go's set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortSet(Runs<Empty>);

impl PortMap {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    /// What the port, `80/tcp`, is bound to.
    #[must_use]
    pub fn get(&self, port: &str) -> Option<Option<Vec<PortBinding>>> {
        self.0.get(port)
    }

    /// All ports, in the order of their texts.
    pub fn iter(&self) -> std::collections::btree_map::IntoIter<String, Option<Vec<PortBinding>>> {
        self.0.map().into_iter()
    }
}

impl PortSet {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    /// All ports, in the order of their texts.
    pub fn iter(&self) -> std::collections::btree_map::IntoIter<String, Empty> {
        self.0.map().into_iter()
    }

    /// Adds ports.
    pub fn extend(&mut self, ports: impl IntoIterator<Item = String>) {
        let mut all = self.0.map();
        all.extend(ports.into_iter().map(|port| (port, Empty)));
        self.0 = all.into_iter().collect();
    }
}

/// Entries of neighbouring ports with neighbouring values.
#[derive(Clone, Debug, PartialEq)]
struct Runs<V>(Vec<Run<V>>);

#[derive(Clone, Debug, PartialEq)]
struct Run<V> {
    first: Key,
    value: V,
    length: u16,
}

/// A port, or a text that is none: whoever uses it will say so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Port { protocol: String, number: u16 },
    Text(String),
}

/// A value that may go on by one with each port.
trait Step: Clone + PartialEq {
    /// The value `by` ports on; `None` where it cannot be told.
    fn step(&self, by: u16) -> Option<Self>;
}

impl Step for Empty {
    fn step(&self, _: u16) -> Option<Self> {
        Some(Empty)
    }
}

impl Step for Option<Vec<PortBinding>> {
    fn step(&self, by: u16) -> Option<Self> {
        let Some(bindings) = self else {
            return Some(None);
        };
        let next = |binding: &PortBinding| {
            let port = number(&binding.host_port)?.checked_add(by)?;
            Some(PortBinding {
                host_ip: binding.host_ip.clone(),
                host_port: port.to_string(),
            })
        };
        bindings
            .iter()
            .map(next)
            .collect::<Option<Vec<_>>>()
            .map(Some)
    }
}

/// A port in the one way to write it; none is 0.
fn number(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok().filter(|number| *number != 0)?;
    (number.to_string() == text).then_some(number)
}

impl Key {
    fn of(text: String) -> Self {
        match text.split_once('/') {
            Some((port, protocol)) => match number(port) {
                Some(number) => Self::Port {
                    protocol: protocol.to_owned(),
                    number,
                },
                None => Self::Text(text),
            },
            None => Self::Text(text),
        }
    }

    fn text(&self, step: u16) -> String {
        match self {
            Self::Port { protocol, number } => {
                format!("{}/{protocol}", number.saturating_add(step))
            }
            Self::Text(text) => text.clone(),
        }
    }

    /// Whether `other` is the port `by` ports on.
    fn is_before(&self, other: &Self, by: u16) -> bool {
        match (self, other) {
            (
                Self::Port { protocol, number },
                Self::Port {
                    protocol: theirs,
                    number: next,
                },
            ) => protocol == theirs && number.checked_add(by) == Some(*next),
            _ => false,
        }
    }
}

impl<V> Default for Runs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: Step> Runs<V> {
    fn get(&self, text: &str) -> Option<V> {
        let wanted = Key::of(text.to_owned());
        self.0.iter().find_map(|run| {
            let by = match (&run.first, &wanted) {
                (Key::Port { number: first, .. }, Key::Port { number, .. }) => {
                    number.checked_sub(*first).filter(|by| *by < run.length)?
                }
                (first, wanted) if first == wanted => 0,
                _ => return None,
            };
            let found = by == 0 && run.first == wanted || run.first.is_before(&wanted, by);
            found.then(|| run.at(by)).flatten()
        })
    }

    /// Adds an entry: to the last run, if that goes on with it.
    fn push(&mut self, key: Key, value: V) {
        if let Some(run) = self.0.last_mut()
            && run.first.is_before(&key, run.length)
            && run.at(run.length).as_ref() == Some(&value)
        {
            run.length += 1;
            return;
        }
        self.0.push(Run {
            first: key,
            value,
            length: 1,
        });
    }

    fn map(&self) -> BTreeMap<String, V> {
        let each = |run: &Run<V>| -> Vec<(String, V)> {
            let all = 0..run.length;
            all.filter_map(|by| Some((run.first.text(by), run.at(by)?)))
                .collect()
        };
        self.0.iter().flat_map(each).collect()
    }
}

impl<V: Step> Run<V> {
    /// The key of a run as it is kept.
    fn text(&self) -> String {
        match &self.first {
            Key::Port { protocol, number } if self.length > 1 => {
                let last = number.saturating_add(self.length - 1);
                format!("{number}-{last}/{protocol}")
            }
            first => first.text(0),
        }
    }

    /// A run as it is kept.
    fn kept(text: String, value: V) -> Self {
        let range = || {
            let (range, protocol) = text.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            let (first, last) = (number(first)?, number(last)?);
            let length = last.checked_sub(first)?.checked_add(1)?;
            Some((first, length, protocol.to_owned()))
        };
        match range() {
            Some((number, length, protocol)) => Self {
                first: Key::Port { protocol, number },
                value,
                length,
            },
            None => Self {
                first: Key::of(text),
                value,
                length: 1,
            },
        }
    }

    fn at(&self, by: u16) -> Option<V> {
        if by == 0 {
            return Some(self.value.clone());
        }
        self.value.step(by)
    }
}

impl<V: Step> FromIterator<(String, V)> for Runs<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        // Of a key that comes twice the last one counts.
        let entries: BTreeMap<Key, V> = entries
            .into_iter()
            .map(|(text, value)| (Key::of(text), value))
            .collect();
        let mut runs = Self(Vec::new());
        for (key, value) in entries {
            runs.push(key, value);
        }
        runs.0.shrink_to_fit();
        runs
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

impl IntoIterator for &PortMap {
    type Item = (String, Option<Vec<PortBinding>>);
    type IntoIter = std::collections::btree_map::IntoIter<String, Option<Vec<PortBinding>>>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for &PortSet {
    type Item = (String, Empty);
    type IntoIter = std::collections::btree_map::IntoIter<String, Empty>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<V: Step + Serialize> Serialize for Runs<V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if RUNS.get() {
            let mut map = to.serialize_map(Some(self.0.len()))?;
            for run in &self.0 {
                map.serialize_entry(&run.text(), &run.value)?;
            }
            return map.end();
        }
        let all = self.map();
        let mut map = to.serialize_map(Some(all.len()))?;
        for (port, value) in &all {
            map.serialize_entry(port, value)?;
        }
        map.end()
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
                let mut runs = Runs(Vec::new());
                while let Some((text, value)) = map.next_entry::<String, V>()? {
                    if RUNS.get() {
                        runs.0.push(Run::kept(text, value));
                    } else {
                        runs.push(Key::of(text), value);
                    }
                }
                // Clients send them in order, most often; else they are put in order.
                if RUNS.get() || runs.0.len() < 2 {
                    runs.0.shrink_to_fit();
                    return Ok(runs);
                }
                Ok(runs.map().into_iter().collect())
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
mod tests {
    use super::*;

    fn bound(port: &str, host: &str) -> (String, Option<Vec<PortBinding>>) {
        let binding = PortBinding {
            host_ip: String::new(),
            host_port: host.to_owned(),
        };
        (port.to_owned(), Some(vec![binding]))
    }

    #[test]
    fn neighbours_are_a_run_and_come_back_one_by_one() {
        let all: Vec<_> = (9_990..=49_999_u16)
            .map(|port| bound(&format!("{port}/udp"), &(port + 5).to_string()))
            .collect();
        let ports: PortMap = all.iter().cloned().collect();
        assert_eq!(ports.0.0.len(), 1);
        let map: BTreeMap<_, _> = all.into_iter().collect();
        assert!(ports.iter().eq(map.clone()));
        let text = serde_json::to_string(&ports).unwrap();
        assert_eq!(text, serde_json::to_string(&map).unwrap());
        assert_eq!(serde_json::from_str::<PortMap>(&text).unwrap(), ports);
        assert_eq!(ports.get("20000/udp"), Some(bound("", "20005").1));
        assert_eq!(ports.get("20000/tcp"), None);
        assert_eq!(ports.get("50000/udp"), None);
    }

    #[test]
    fn what_is_kept_has_an_entry_a_run() {
        let all = (1..=65_535_u16).map(|port| bound(&format!("{port}/tcp"), &port.to_string()));
        let mut ports: PortMap = all.collect();
        let kept = as_runs(|| serde_json::to_string(&ports)).unwrap();
        assert_eq!(kept, r#"{"1-65535/tcp":[{"HostIp":"","HostPort":"1"}]}"#);
        ports = ports
            .iter()
            .chain([bound("80", ""), bound("9/udp", "1-5")])
            .collect();
        let kept = as_runs(|| serde_json::to_string(&ports)).unwrap();
        let read: PortMap = as_runs(|| serde_json::from_str(&kept)).unwrap();
        assert_eq!(read, ports);
        // Clients have no such keys.
        let strange: PortMap = serde_json::from_str(r#"{"8-9/tcp":null}"#).unwrap();
        assert_eq!(strange.iter().next().unwrap().0, "8-9/tcp");
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            r#"{}"#,
            r#"{"80/tcp":null,"81/tcp":null,"82/tcp":[]}"#,
            r#"{"80/tcp":[{"HostIp":"","HostPort":"1"}],"81/tcp":[{"HostIp":"","HostPort":""}]}"#,
            r#"{"80/tcp":[{"HostIp":"","HostPort":"0"}],"81/tcp":[{"HostIp":"","HostPort":"1"}]}"#,
            r#"{"80/tcp":[{"HostIp":"","HostPort":"8000-8010"}],"81/tcp":[{"HostIp":"","HostPort":"8000-8010"}]}"#,
            r#"{"80/tcp":[{"HostIp":"::1","HostPort":"80"}],"81/tcp":[{"HostIp":"","HostPort":"81"}]}"#,
            r#"{"080/tcp":null,"80":null,"80-82/tcp":null,"81":null,"x":null}"#,
            r#"{"65535/tcp":null,"65536/tcp":null}"#,
        ] {
            let ports: PortMap = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&ports).unwrap(), text);
        }
        let twice: PortMap =
            serde_json::from_str(r#"{"80/tcp":null,"80/tcp":[{"HostIp":"","HostPort":"1"}]}"#)
                .unwrap();
        assert_eq!(twice.get("80/tcp"), Some(bound("", "1").1));
        let mut set: PortSet = serde_json::from_str(r#"{"80/tcp":{},"81/tcp":{}}"#).unwrap();
        set.extend(["82/tcp".to_owned()]);
        assert_eq!(set.0.0.len(), 1);
        assert_eq!(
            serde_json::to_string(&set).unwrap(),
            r#"{"80/tcp":{},"81/tcp":{},"82/tcp":{}}"#
        );
    }
}
