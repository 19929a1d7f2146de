//! One record of a log.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output; everything of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The word in a json-file row.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// The number in Docker's stream frames.
    pub fn number(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }
}

/// A line, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was read from the container.
    pub time: Timestamp,
    /// Where it came from.
    pub stream: Stream,
    /// The bytes with their newline, if they have one.
    pub bytes: Vec<u8>,
    /// The line goes on in the stream's next record (or ended without a newline).
    pub partial: bool,
    /// `tag`, labels and variables, where the log was told to keep them.
    pub attributes: BTreeMap<String, String>,
}
