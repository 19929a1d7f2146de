//! Archives that mean harm: each is refused with a reason, or does no harm.
//!
//! Every one is applied below a root that stands beside a tree nobody may touch: as a layer, and as `cp` does into a
//! tree where others live. Nothing of that tree may change, not even a time; nothing may panic; what is written and what
//! is remembered stays small. Root is needed: owners, devices and `trusted.` attributes are real.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bombs;
mod broken;
mod build;
mod canary;
mod contents;
mod headers;
mod names;

use std::io::{Cursor, Read};
use std::path::Path;

use canary::Place;
use onggi_archive::{Applied, ApplyOptions, Conflicts, Error, Limits, Owner, apply_at, decompress};

/// Bytes on the disk that no archive here may take, whatever it says of itself.
const DISK: u64 = 24 << 20;
/// KiB of memory that the whole corpus may take at once.
const MEMORY: u64 = 400 << 10;

/// An archive that means harm.
pub(crate) struct Case {
    name: &'static str,
    source: Source,
    limits: Limits,
    outcome: Outcome,
    check: fn(&Path),
}

enum Source {
    Bytes(Vec<u8>),
    /// More than memory would hold.
    Stream(fn() -> Box<dyn Read + Send>),
}

enum Outcome {
    /// With an error that has this text in its chain.
    Refused(&'static str),
    Harmless,
}

/// A case from the bytes of its archive.
pub(crate) fn case(name: &'static str, bytes: Vec<u8>) -> Case {
    Case {
        name,
        source: Source::Bytes(bytes),
        limits: Limits::default(),
        outcome: Outcome::Harmless,
        check: |_| {},
    }
}

/// A case that comes out of a pipe.
pub(crate) fn stream(name: &'static str, source: fn() -> Box<dyn Read + Send>) -> Case {
    Case {
        source: Source::Stream(source),
        ..case(name, Vec::new())
    }
}

impl Case {
    /// It is refused, saying this.
    pub(crate) fn refused(mut self, text: &'static str) -> Case {
        self.outcome = Outcome::Refused(text);
        self
    }

    pub(crate) fn limits(mut self, entries: u64, bytes: u64) -> Case {
        self.limits = Limits { entries, bytes };
        self
    }

    /// What holds for the root when it was applied as a layer.
    pub(crate) fn then(mut self, check: fn(&Path)) -> Case {
        self.check = check;
        self
    }

    fn open(&self) -> Box<dyn Read + Send + '_> {
        match &self.source {
            Source::Bytes(bytes) => Box::new(Cursor::new(bytes)),
            Source::Stream(open) => open(),
        }
    }

    fn apply(&self, root: &Path, options: &ApplyOptions) -> Result<Applied, Error> {
        let (_, plain) = decompress(self.open())?;
        let options = ApplyOptions {
            limits: self.limits,
            ..*options
        };
        apply_at(plain, root, &options)
    }

    /// What is wrong with how it was taken.
    fn judge(&self, canary: &Place) -> Option<String> {
        let name = self.name;
        let layer = canary.root();
        let applied = self.apply(&layer, &ApplyOptions::layer());
        let told = applied.as_ref().map_err(|error| onggi_model::chain(error));
        let wrong = match (&self.outcome, &told) {
            (Outcome::Harmless, Ok(_)) => {
                (self.check)(&layer);
                None
            }
            // Short enough for a log, whatever names are in the archive.
            (Outcome::Refused(text), Err(told)) => {
                (!told.contains(text) || told.len() > 20_000).then_some(*text)
            }
            (Outcome::Harmless, Err(_)) => Some("no harm"),
            (Outcome::Refused(text), Ok(_)) => Some(*text),
        };
        canary.assert_untouched(name, DISK);
        // The same into a tree where others live; what it thinks of removals and attributes differs.
        let copy = canary.root();
        let _ = self.apply(
            &copy,
            &ApplyOptions::copy(Conflicts::Replace, Owner::Archive),
        );
        canary.assert_untouched(name, DISK);
        let again = canary.root_in_use();
        let _ = self.apply(
            &again,
            &ApplyOptions::copy(Conflicts::Refuse, Owner::Process),
        );
        canary.assert_untouched(name, DISK);
        wrong.map(|expected| format!("{name}: expected {expected:?}, not {told:?}"))
    }
}

#[test]
fn every_hostile_archive_is_refused_or_harmless() {
    let canary = Place::new();
    let cases = [
        names::cases(canary.path()),
        headers::cases(canary.path()),
        contents::cases(canary.path()),
        bombs::cases(),
        broken::cases(),
    ]
    .into_iter()
    .flatten();
    let mut names = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for case in cases {
        wrong.extend(case.judge(&canary));
        assert!(names.insert(case.name), "{} twice", case.name);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(names.len() >= 60, "{} archives", names.len());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap();
    assert!(peak < MEMORY, "{peak} KiB of memory");
}
