//! The drivers that send: one file each.

mod fluentd;
mod gelf;
mod journald;
mod syslog;

use std::collections::BTreeMap;
use std::io;

use onggi_logs::Record;

use super::Subject;
use crate::error::{Error, Result};

/// Somebody who takes records.
pub(crate) trait Sink: Send {
    /// Sends records and tells how many of them are taken, as it goes.
    ///
    /// # Errors
    /// The peer is not there or takes nothing: the rest is to come again.
    fn send(&mut self, records: &[&Record], taken: &mut dyn FnMut(usize)) -> io::Result<()>;
}

/// Which driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fluentd,
    Gelf,
    Journald,
    Syslog,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Fluentd, Self::Gelf, Self::Journald, Self::Syslog];

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fluentd => "fluentd",
            Self::Gelf => "gelf",
            Self::Journald => "journald",
            Self::Syslog => "syslog",
        }
    }

    /// Its own options.
    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Fluentd => fluentd::OPTIONS,
            Self::Gelf => gelf::OPTIONS,
            Self::Journald => &[],
            Self::Syslog => syslog::OPTIONS,
        }
    }
}

/// Whose lines are sent, with what is sent beside them.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) subject: Subject,
    pub(super) tag: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) hostname: String,
}

/// Refuses options that cannot be meant.
pub(crate) fn check(
    kind: Kind,
    options: &BTreeMap<String, String>,
    subject: &Subject,
) -> Result<()> {
    sink(kind, options, subject).map(drop)
}

/// A sender; nothing is connected yet.
pub(crate) fn sink(
    kind: Kind,
    options: &BTreeMap<String, String>,
    subject: &Subject,
) -> Result<Box<dyn Sink>> {
    let template = match options.get("tag").map_or("", String::as_str) {
        "" => "{{.ID}}",
        template => template,
    };
    let source = Source {
        tag: subject.tag(template)?,
        attributes: subject.attributes(options)?,
        subject: subject.clone(),
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    };
    Ok(match kind {
        Kind::Fluentd => Box::new(fluentd::Fluentd::new(source, options)?),
        Kind::Gelf => Box::new(gelf::Gelf::new(source, options)?),
        Kind::Journald => Box::new(journald::Journald::new(source)),
        Kind::Syslog => Box::new(syslog::Syslog::new(source, options)?),
    })
}

/// The text of a record without its line end.
fn text(record: &Record) -> &[u8] {
    record.bytes.strip_suffix(b"\n").unwrap_or(&record.bytes)
}

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::invalid(text))
}
