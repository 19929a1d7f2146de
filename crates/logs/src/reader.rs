//! From file to records, across rotation, while the writer writes.
//!
//! Kept true: a record comes once, in order, and only when it is whole in the file. A file is known by its inode: the
//! reader finishes the one it has open and then asks which one is the next newer.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::files::{self, Part, failed};
use crate::follow::Wait;
use crate::place::Place;
use crate::record::Record;
use crate::spec::{Driver, LogSpec};
use crate::{Error, json, local, scan, tail};

const BUFFER: usize = 128 * 1024;
/// A row that is longer is none: 16 KiB of text are at most 96 KiB, the rest are attributes.
const LONGEST_ROW: usize = 4 << 20;

/// Which records to read.
#[derive(Debug, Default)]
pub struct Options {
    /// Only the last that many, counted before the times are looked at.
    pub tail: Option<usize>,
    /// Begin behind this record, where it still is; else with the first that is later. Only for the driver `local`.
    pub from: Option<Place>,
    /// None before this.
    pub since: Option<Timestamp>,
    /// None after this; the first that is later ends the reading.
    pub until: Option<Timestamp>,
    /// Wait for more at the end. `None`: what is in the log now.
    pub follow: Option<Wait>,
}

/// Records of a log, oldest first. As an iterator it waits for more where it follows.
#[derive(Debug)]
pub struct Reader {
    driver: Driver,
    path: PathBuf,
    since: Option<Timestamp>,
    /// None at or before this.
    after: Option<Timestamp>,
    until: Option<Timestamp>,
    follow: Option<Wait>,
    current: Option<Part>,
    /// Newer than `current`, oldest first.
    waiting: VecDeque<Part>,
    /// Without follow: how much of the last file there was at open.
    last_size: u64,
    /// How much of `current` has been read into `buffer`.
    offset: u64,
    buffer: Vec<u8>,
    /// The first byte of `buffer` that is not in a record yet.
    start: usize,
    /// No newline before this one.
    scanned: usize,
    /// What comes is no record: until the next newline (json-file), to the end of the file (local).
    skipping: bool,
    clock: json::Clock,
    over: bool,
    finished: bool,
    error: Option<Error>,
}

impl Reader {
    /// Opens the log's files. A log that was never written is empty.
    ///
    /// # Errors
    /// `NotReadable` for the driver `none`; files that are there and cannot be opened.
    pub fn open(spec: &LogSpec, mut options: Options) -> Result<Self, Error> {
        if spec.driver == Driver::None {
            return Err(Error::NotReadable);
        }
        if let Some(wait) = &mut options.follow {
            wait.watch(&spec.path); // before the first look, so that nothing falls between
        }
        let mut parts: VecDeque<Part> = files::open_all(&spec.path)?.into();
        if options.follow.is_none()
            && let Some(part) = parts.back_mut()
        {
            part.unpack().map_err(failed("read log", &spec.path))?;
        }
        let last_size = match parts.back() {
            Some(part) => part
                .file
                .metadata()
                .map_err(failed("read log", &spec.path))?
                .len(),
            None => 0,
        };
        let mut offset = 0;
        if let Some(count) = options.tail {
            let start = tail::find(spec.driver, parts.make_contiguous(), count)
                .map_err(failed("read log", &spec.path))?;
            parts.drain(..start.part);
            offset = start.offset;
        }
        let mut after = None;
        if let Some(place) = options.from {
            let found = place
                .find(parts.make_contiguous())
                .map_err(failed("read log", &spec.path))?;
            match found {
                Some(index) => {
                    parts.drain(..index);
                    offset = place.offset;
                }
                None => after = Some(place.time),
            }
        }
        let mut reader = Self {
            after,
            driver: spec.driver,
            path: spec.path.clone(),
            since: options.since,
            until: options.until,
            follow: options.follow,
            current: parts.pop_front(),
            waiting: parts,
            last_size,
            offset,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            skipping: false,
            clock: json::Clock::default(),
            over: false,
            finished: false,
            error: None,
        };
        if let Some(part) = &mut reader.current {
            part.unpack().map_err(failed("read log", &spec.path))?;
            part.file
                .seek(SeekFrom::Start(offset))
                .map_err(failed("read log", &spec.path))?;
        }
        Ok(reader)
    }

    /// The next record that is there now; never waits. `None` does not mean the end where the reader follows.
    pub fn try_next(&mut self) -> Option<Record> {
        while !self.over {
            let Some(row) = self.row() else {
                match self.fill() {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(source) => {
                        self.error = Some(failed("read log", &self.path)(source));
                        self.over = true;
                        return None;
                    }
                }
            };
            let bytes = &self.buffer[row];
            let record = match self.driver {
                Driver::Local => local::parse(bytes),
                Driver::JsonFile | Driver::None => {
                    let early = |since| json::time(bytes).is_some_and(|time| time < since);
                    if self.since.is_some_and(early) {
                        continue;
                    }
                    json::parse(bytes, &mut self.clock)
                }
            };
            let Some(record) = record else { continue };
            if self.since.is_some_and(|since| record.time < since) {
                continue;
            }
            if self.after.is_some_and(|after| record.time <= after) {
                continue;
            }
            self.after = None;
            if self.until.is_some_and(|until| record.time > until) {
                self.over = true;
                return None;
            }
            return Some(record);
        }
        None
    }

    /// Behind which record the reader is, `record` being the last that it gave out.
    pub fn place(&self, record: &Record) -> Option<Place> {
        let (device, inode) = self.current.as_ref()?.identity;
        let unread = (self.buffer.len() - self.start) as u64;
        Some(Place {
            device,
            inode,
            offset: self.offset - unread,
            time: record.time,
        })
    }

    /// Why the reading ended early, if it did.
    pub fn error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Where the next whole row is in the buffer, without its end mark; steps over it.
    fn row(&mut self) -> Option<std::ops::Range<usize>> {
        loop {
            let row = match self.driver {
                Driver::JsonFile | Driver::None => {
                    let rest = &self.buffer[self.scanned..];
                    let Some(at) = scan::find(rest, b'\n') else {
                        self.scanned = self.buffer.len();
                        if self.scanned - self.start > LONGEST_ROW {
                            self.skipping = true;
                            self.start = self.scanned;
                        }
                        return None;
                    };
                    let row = self.start..self.scanned + at;
                    self.start = row.end + 1;
                    self.scanned = self.start;
                    if std::mem::take(&mut self.skipping) {
                        continue;
                    }
                    row
                }
                Driver::Local => {
                    if self.skipping {
                        self.start = self.buffer.len();
                        return None;
                    }
                    match local::frame(&self.buffer[self.start..]) {
                        Ok(Some(size)) => {
                            let row = self.start..self.start + size;
                            self.start = row.end;
                            row
                        }
                        Ok(None) => return None,
                        Err(local::Damaged) => {
                            self.skipping = true;
                            continue;
                        }
                    }
                }
            };
            return Some(row);
        }
    }

    /// Reads more, from the next file where one is finished; `false`: there is nothing now.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            if self.read()? {
                return Ok(true);
            }
            if self.waiting.is_empty() {
                if self.follow.is_none() || !self.rotated()? {
                    return Ok(false);
                }
                // Nobody writes to a file that has lost its name; but someone may have, since the last look.
                if self.read()? {
                    return Ok(true);
                }
                let parts = files::open_all(&self.path).map_err(io::Error::other)?;
                let known = self.current.as_ref().map(|part| part.identity);
                // The newest of that name: an older one is a compressed file whose inode is used again.
                let newer = parts.iter().rposition(|part| Some(part.identity) == known);
                self.waiting = parts
                    .into_iter()
                    .skip(newer.map_or(0, |at| at + 1))
                    .collect();
            }
            let Some(mut next) = self.waiting.pop_front() else {
                return Ok(false);
            };
            next.unpack()?;
            self.current = Some(next);
            self.offset = 0;
            self.buffer.clear();
            (self.start, self.scanned, self.skipping) = (0, 0, false);
        }
    }

    fn read(&mut self) -> io::Result<bool> {
        let Some(part) = &mut self.current else {
            return Ok(false);
        };
        self.buffer.drain(..self.start);
        self.scanned -= self.start.min(self.scanned);
        self.start = 0;
        let mut space = BUFFER;
        if self.follow.is_none() && self.waiting.is_empty() {
            let left = self.last_size.saturating_sub(self.offset);
            space = space.min(usize::try_from(left).unwrap_or(BUFFER));
        }
        let count = read_some(&mut part.file, &mut self.buffer, space)?;
        self.offset += count as u64;
        Ok(count > 0)
    }

    /// Whether the name belongs to another file by now.
    fn rotated(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        match std::fs::metadata(&self.path) {
            Ok(meta) => {
                Ok(self.current.as_ref().map(|part| part.identity)
                    != Some((meta.dev(), meta.ino())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn read_some(file: &mut File, buffer: &mut Vec<u8>, space: usize) -> io::Result<usize> {
    if space == 0 {
        return Ok(0);
    }
    buffer.reserve(space);
    loop {
        match rustix::io::read(&*file, rustix::buffer::spare_capacity(buffer)) {
            Ok(count) => return Ok(count),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

impl Iterator for Reader {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while !self.follow.as_ref().is_some_and(Wait::cancelled) {
            if let Some(record) = self.try_next() {
                return Some(record);
            }
            let wait = self.follow.as_mut()?;
            if self.over
                || self.finished
                || self.until.is_some_and(|until| Timestamp::now() > until)
            {
                return None;
            }
            // Once it has finished, one more look sees all there will ever be.
            self.finished = !wait.wait();
        }
        None
    }
}
