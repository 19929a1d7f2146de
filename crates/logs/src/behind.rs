//! How far a reader is behind the writer: what a container waits for that may not run ahead of whoever takes its log.
//!
//! Kept true: only what this writer wrote counts, so that a reader that is still busy with what came before it holds nobody
//! up for ever.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Place;

/// Where the reader is, and how far behind it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// The file with its place, as JSON.
    pub cursor: PathBuf,
    /// Bytes of the record.
    pub most: u64,
}

/// The files that one writer has written.
#[derive(Debug)]
pub(crate) struct Written {
    behind: Behind,
    /// The newest last; at most as many as are kept.
    files: VecDeque<Known>,
    keep: usize,
    /// What was known when the cursor was looked at last: how far behind it was, and how much was written by then.
    looked: (u64, u64),
    total: u64,
}

#[derive(Debug)]
struct Known {
    identity: (u64, u64),
    /// Bytes that were in it before.
    begin: u64,
    size: u64,
    /// Its first record is no older: inodes are used again.
    since: Timestamp,
}

impl Written {
    pub(crate) fn new(behind: Behind, keep: u32) -> Self {
        Self {
            behind,
            files: VecDeque::new(),
            keep: keep as usize,
            looked: (0, 0),
            total: 0,
        }
    }

    /// The writer goes on in this file, which has `size` bytes.
    pub(crate) fn opened(&mut self, identity: (u64, u64), size: u64, since: Timestamp) {
        self.files.push_back(Known {
            identity,
            begin: size,
            size,
            since,
        });
        while self.files.len() > self.keep.max(1) {
            self.files.pop_front();
        }
    }

    /// It wrote: the file has `size` bytes now.
    pub(crate) fn wrote(&mut self, size: u64) {
        if let Some(file) = self.files.back_mut() {
            self.total += size.saturating_sub(file.size);
            file.size = size;
        }
    }

    /// Whether the reader is too far behind.
    pub(crate) fn is_too_far(&mut self) -> bool {
        let (behind, total) = self.looked;
        // At worst it has not moved since.
        if behind + (self.total - total) <= self.behind.most {
            return false;
        }
        let place = read(&self.behind.cursor);
        self.looked = (self.unread(place.as_ref()), self.total);
        self.looked.0 > self.behind.most
    }

    /// How much of what was written lies behind this place.
    fn unread(&self, place: Option<&Place>) -> u64 {
        let mut sum = 0;
        for file in self.files.iter().rev() {
            if let Some(place) = place
                && place.identity() == file.identity
                && place.time() >= file.since
            {
                return sum + file.size.saturating_sub(place.offset.max(file.begin));
            }
            sum += file.size - file.begin;
        }
        sum
    }
}

/// The place that a cursor file tells; `None`: before the first record.
pub(crate) fn read(path: &Path) -> Option<Place> {
    let text = std::fs::read(path).ok()?;
    serde_json::from_slice(text.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(inode: u64, offset: u64, second: i64) -> Place {
        Place {
            device: 1,
            inode,
            offset,
            time: Timestamp::from_second(second).unwrap_or_default(),
        }
    }

    #[test]
    fn what_was_there_before_does_not_count() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let behind = Behind {
            cursor: PathBuf::new(),
            most: 10,
        };
        let mut written = Written::new(behind, 3);
        written.opened((1, 7), 100, at(0));
        assert_eq!(written.unread(None), 0);
        assert_eq!(written.unread(Some(&place(7, 40, 1))), 0);
        written.wrote(130);
        assert_eq!(written.unread(None), 30);
        assert_eq!(written.unread(Some(&place(7, 40, 1))), 30);
        assert_eq!(written.unread(Some(&place(7, 120, 1))), 10);
        written.opened((1, 8), 0, at(5));
        written.wrote(50);
        assert_eq!(written.unread(Some(&place(7, 120, 1))), 60);
        assert_eq!(written.unread(Some(&place(8, 50, 6))), 0);
        // The same number again, for another file.
        written.opened((1, 7), 0, at(9));
        written.wrote(5);
        assert_eq!(written.unread(Some(&place(7, 120, 1))), 65);
        assert_eq!(written.unread(Some(&place(7, 2, 9))), 3);
        // Far away: all that is kept.
        written.opened((1, 9), 0, at(10));
        assert_eq!(written.unread(Some(&place(3, 1, 1))), 55);
        assert!(written.is_too_far());
    }
}
