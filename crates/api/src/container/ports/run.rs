//! Runs of neighbouring ports: how they grow entry by entry, are put in order, and are taken apart again.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use onggi_model::{Port, Protocol};

use crate::container::PortBinding;
use crate::go::Empty;

/// How many of the last runs an entry may go on with: those of several protocols come by turns.
const OPEN: usize = 8;

/// Entries of neighbouring ports with neighbouring values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Runs<V>(pub(super) Vec<Run<V>>);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run<V> {
    pub(super) first: Key,
    /// What the first port has.
    pub(super) value: V,
    pub(super) length: u16,
}

/// A port, or a text that is none: whoever uses it will say so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Port { protocol: Protocol, number: u16 },
    Text(String),
}

/// A value that may go on by one with each port.
pub(super) trait Step: Clone + PartialEq {
    /// The value `by` ports on; `None` where it cannot be told.
    fn step(&self, by: u16) -> Option<Self>;

    /// Whether this is the value `by` ports after `first`; `by` is not 0.
    fn follows(&self, first: &Self, by: u16) -> bool;
}

impl Step for Empty {
    fn step(&self, _: u16) -> Option<Self> {
        Some(Empty)
    }

    fn follows(&self, _: &Self, _: u16) -> bool {
        true
    }
}

impl Step for PortBinding {
    fn step(&self, by: u16) -> Option<Self> {
        if by == 0 {
            return Some(self.clone());
        }
        let port = number(&self.host_port)?.checked_add(by)?;
        Some(Self {
            host_ip: self.host_ip.clone(),
            host_port: port.to_string(),
        })
    }

    fn follows(&self, first: &Self, by: u16) -> bool {
        let expected = || number(&first.host_port)?.checked_add(by);
        self.host_ip == first.host_ip
            && number(&self.host_port).is_some_and(|port| Some(port) == expected())
    }
}

impl Step for Option<Vec<PortBinding>> {
    fn step(&self, by: u16) -> Option<Self> {
        let Some(bindings) = self else {
            return Some(None);
        };
        let all: Option<Vec<_>> = bindings.iter().map(|one| one.step(by)).collect();
        all.map(Some)
    }

    fn follows(&self, first: &Self, by: u16) -> bool {
        match (self, first) {
            (None, None) => true,
            (Some(own), Some(first)) => {
                own.len() == first.len()
                    && own
                        .iter()
                        .zip(first)
                        .all(|(own, first)| own.follows(first, by))
            }
            _ => false,
        }
    }
}

/// A port in the one way to write it; none is 0.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

fn protocol(text: &str) -> Option<Protocol> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    all.into_iter().find(|protocol| protocol.as_str() == text)
}

impl Key {
    pub(super) fn of(text: &str) -> Self {
        let port = || {
            let (port, kind) = text.split_once('/')?;
            let (protocol, number) = (protocol(kind)?, number(port)?);
            Some(Self::Port { protocol, number })
        };
        port().unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// The first port and the length of a run as it is kept.
    pub(super) fn kept(text: &str) -> (Self, u16) {
        if let Some(text) = text.strip_prefix('=') {
            return (Self::Text(text.to_owned()), 1);
        }
        range(text).unwrap_or_else(|| (Self::of(text), 1))
    }

    pub(super) fn text(&self, step: u16) -> String {
        match self {
            Self::Port { protocol, number } => {
                Port::new(number.saturating_add(step), *protocol).to_string()
            }
            Self::Text(text) => text.clone(),
        }
    }

    /// Whether `other` is the port `by` ports on.
    fn is_before(&self, other: &Self, by: u16) -> bool {
        self.distance(other) == Some(by)
    }

    /// How many ports on `other` is.
    fn distance(&self, other: &Self) -> Option<u16> {
        match (self, other) {
            (
                Self::Port { protocol, number },
                Self::Port {
                    protocol: theirs,
                    number: next,
                },
            ) if protocol == theirs => next.checked_sub(*number),
            (one, other) if one == other => Some(0),
            _ => None,
        }
    }
}

/// `8000-8010/tcp`.
fn range(text: &str) -> Option<(Key, u16)> {
    let (range, kind) = text.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (number, last) = (number(first)?, number(last)?);
    let length = last.checked_sub(number)?.checked_add(1)?;
    let protocol = protocol(kind)?;
    Some((Key::Port { protocol, number }, length))
}

impl<V> Default for Runs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Runs<V> {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|run| usize::from(run.length)).sum()
    }
}

impl<V: Step> Runs<V> {
    pub(super) fn get(&self, text: &str) -> Option<V> {
        let wanted = Key::of(text);
        self.0.iter().find_map(|run| {
            let by = run.first.distance(&wanted)?;
            (by < run.length).then(|| run.at(by)).flatten()
        })
    }

    /// Adds an entry: to one of the last runs, if that goes on with it.
    pub(super) fn push(&mut self, key: Key, value: V) {
        self.push_run(Run {
            first: key,
            value,
            length: 1,
        });
    }

    /// As [`Runs::push_run`], if there is one.
    pub(super) fn extend(&mut self, run: Option<Run<V>>) {
        if let Some(run) = run {
            self.push_run(run);
        }
    }

    /// As [`Runs::push`], for all entries of a run.
    pub(super) fn push_run(&mut self, next: Run<V>) {
        for run in self.0.iter_mut().rev().take(OPEN) {
            if run.goes_on(&next) {
                run.length += next.length;
                return;
            }
            // A later entry for the same port counts, not this one.
            if run.overlaps(&next) {
                break;
            }
        }
        self.0.push(next);
    }

    /// The runs in order, neighbours joined; of a key that came twice, the last entry.
    pub(super) fn settled(mut self) -> Self {
        let in_order = |pair: &[Run<V>]| pair[0].first < pair[1].first;
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        if !self.0.windows(2).all(in_order) {
            order.sort_by(|a, b| self.0[*a].first.cmp(&self.0[*b].first));
        }
        let twice = |pair: &[usize]| self.0[pair[0]].overlaps(&self.0[pair[1]]);
        if order.windows(2).any(twice) {
            return self.one_by_one();
        }
        self.0.sort_by(|a, b| a.first.cmp(&b.first));
        let mut joined = Self::default();
        for run in self.0 {
            match joined.0.last_mut() {
                Some(last) if last.goes_on(&run) => last.length += run.length,
                _ => joined.0.push(run),
            }
        }
        joined.0.shrink_to_fit();
        joined
    }

    /// Slow and sure.
    fn one_by_one(self) -> Self {
        let each = |run: Run<V>| {
            let all = (0..run.length).map(move |by| Some((run.key(by), run.at(by)?)));
            all.flatten().collect::<Vec<_>>()
        };
        let all: BTreeMap<Key, V> = self.0.into_iter().flat_map(each).collect();
        let mut runs = Self::default();
        for (key, value) in all {
            runs.push(key, value);
        }
        runs.0.shrink_to_fit();
        runs
    }

    /// Each entry, in the order of the texts.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (String, V)> {
        let parts = self.0.iter().flat_map(Part::of);
        let mut parts: BinaryHeap<Reverse<Part<'_, V>>> = parts.map(Reverse).collect();
        std::iter::from_fn(move || {
            let mut next = parts.peek_mut()?;
            let part = &mut next.0;
            let value = part.run.at(part.by)?;
            part.by += 1;
            if part.by < part.end {
                let text = part.run.first.text(part.by);
                return Some((std::mem::replace(&mut part.text, text), value));
            }
            let Reverse(part) = std::collections::binary_heap::PeekMut::pop(next);
            Some((part.text, value))
        })
    }
}

impl<V: Step> Run<V> {
    /// The key of a run as it is kept.
    pub(super) fn text(&self) -> String {
        match &self.first {
            Key::Port { protocol, number } if self.length > 1 => {
                let last = number.saturating_add(self.length - 1);
                format!("{number}-{last}/{protocol}")
            }
            Key::Text(text) if text.starts_with('=') || range(text).is_some() => {
                format!("={text}")
            }
            first => first.text(0),
        }
    }

    /// Some of its ports.
    pub(super) fn part(&self, from: u16, end: u16) -> Option<Self> {
        let length = end.checked_sub(from).filter(|length| *length > 0)?;
        Some(Self {
            first: self.key(from),
            value: self.at(from)?,
            length,
        })
    }

    fn key(&self, by: u16) -> Key {
        match &self.first {
            Key::Port { protocol, number } => Key::Port {
                protocol: *protocol,
                number: number.saturating_add(by),
            },
            text => text.clone(),
        }
    }

    fn at(&self, by: u16) -> Option<V> {
        match by {
            0 => Some(self.value.clone()),
            by => self.value.step(by),
        }
    }

    /// Whether the next begins where this one ends.
    fn goes_on(&self, next: &Self) -> bool {
        self.first.is_before(&next.first, self.length)
            && next.value.follows(&self.value, self.length)
    }

    /// Whether they have a port in common.
    fn overlaps(&self, other: &Self) -> bool {
        let after = |one: &Self, other: &Self| {
            let by = one.first.distance(&other.first);
            by.is_some_and(|by| by < one.length)
        };
        after(self, other) || after(other, self)
    }
}

impl<V: Step> FromIterator<(String, V)> for Runs<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        let mut runs = Self::default();
        for (text, value) in entries {
            runs.push(Key::of(&text), value);
        }
        runs.settled()
    }
}

/// Ports of a run whose numbers have the same number of digits: in order by number, and by text.
struct Part<'a, V> {
    text: String,
    run: &'a Run<V>,
    by: u16,
    end: u16,
}

impl<'a, V: Step> Part<'a, V> {
    fn of(run: &'a Run<V>) -> Vec<Self> {
        let Key::Port { number, .. } = run.first else {
            let text = run.first.text(0);
            return vec![Part {
                text,
                run,
                by: 0,
                end: 1,
            }];
        };
        let mut parts = Vec::new();
        let mut by = 0;
        while by < run.length {
            let digits = number.saturating_add(by).checked_ilog10().unwrap_or(0);
            let longer = 10_u32.pow(digits + 1) - u32::from(number);
            let end = u16::try_from(longer).unwrap_or(u16::MAX).min(run.length);
            parts.push(Part {
                text: run.first.text(by),
                run,
                by,
                end,
            });
            by = end;
        }
        parts
    }
}

impl<V> PartialEq for Part<'_, V> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<V> Eq for Part<'_, V> {}

impl<V> PartialOrd for Part<'_, V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V> Ord for Part<'_, V> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}
