//! Where a reader was, so that another one goes on there: in another process, after rotation, after compression.

use std::io;
use std::os::unix::fs::FileExt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::Part;
use crate::{local, tail};

/// Behind a record of a log of the driver `local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Bytes of the file, uncompressed, up to the end of the record.
    pub(crate) offset: u64,
    /// Of the record: inodes are used again, and then this does not fit.
    pub(crate) time: Timestamp,
}

impl Place {
    /// The time of the record.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Device and inode of the file.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Which of the files it is in.
    pub(crate) fn find(&self, parts: &mut [Part]) -> io::Result<Option<usize>> {
        for (index, part) in parts.iter_mut().enumerate().rev() {
            if part.identity == (self.device, self.inode) && self.is_in(part)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn is_in(&self, part: &mut Part) -> io::Result<bool> {
        part.unpack()?;
        if part.file.metadata()?.len() < self.offset {
            return Ok(false);
        }
        let Some(begin) = tail::begin_of_last(part, self.offset) else {
            return Ok(false);
        };
        let mut frame = vec![0; (self.offset - begin) as usize];
        part.file.read_exact_at(&mut frame, begin)?;
        Ok(local::parse(&frame).is_some_and(|record| record.time == self.time))
    }
}
