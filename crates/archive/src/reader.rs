//! A tar as a stream of entries, each followed by its data.
//!
//! Understood: V7, ustar, GNU (long names and links, base-256 numbers), PAX, and files with holes in GNU's formats.
//! Refused: multi-volume archives, directory dumps. Global PAX headers (`git archive` writes one) say nothing that matters and are skipped.

use std::collections::VecDeque;
use std::io::BufRead;

use crate::Error;
use crate::header::{BLOCK, Entry, Kind, Raw, Time, flag};
use crate::pax::{Records, Sparse};

/// The most bytes of an extended header or a long name: what Go's reader allows.
const MAX_EXTENSION: u64 = 1 << 20;

/// The most headers that only speak of the entry after them; tools write three at most.
const MAX_EXTENSIONS: usize = 64;
/// The most pieces that a file with holes may have.
pub(crate) const MAX_PIECES: usize = 1 << 20;
/// What holes read as.
const ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// Reads a tar from front to back.
pub struct TarReader<R> {
    source: R,
    /// Data of the current entry in the archive not read yet.
    left: u64,
    /// Of a file with holes: what is still to come, hole and data by turns.
    parts: VecDeque<Part>,
    /// Bytes after the data up to the next block.
    padding: u64,
    done: bool,
}

/// A part of a file with holes.
#[derive(Clone, Copy, Debug)]
struct Part {
    hole: u64,
    data: u64,
}

impl<R> std::fmt::Debug for TarReader<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TarReader")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<R: BufRead> TarReader<R> {
    /// Reads from `source`, which has the bytes of a tar, not compressed.
    pub fn new(source: R) -> TarReader<R> {
        TarReader {
            source,
            left: 0,
            parts: VecDeque::new(),
            padding: 0,
            done: false,
        }
    }

    /// The next entry, or `None` at the end. Data of the entry before that was not read is skipped.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Truncated`], [`Error::Invalid`], [`Error::Unsupported`].
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not lend the data"
    )]
    pub fn next(&mut self) -> Result<Option<Entry>, Error> {
        let mut records: Option<Records> = None;
        let (mut long_name, mut long_link) = (None, None);
        let mut extensions = 0;
        while let Some(raw) = self.block()? {
            if extensions > MAX_EXTENSIONS {
                return Err(Error::invalid("too many headers in front of an entry"));
            }
            extensions += 1;
            match raw.flag {
                flag::PAX => records = Some(Records::parse(&self.extension(&raw)?)?),
                flag::PAX_GLOBAL => {
                    self.begin(&raw)?;
                }
                flag::GNU_LONG_NAME => long_name = Some(until_nul(self.extension(&raw)?)),
                flag::GNU_LONG_LINK => long_link = Some(until_nul(self.extension(&raw)?)),
                _ => return self.entry(raw, records, long_name, long_link).map(Some),
            }
        }
        match records.is_some() || long_name.is_some() || long_link.is_some() {
            true => Err(Error::Truncated),
            false => Ok(None),
        }
    }

    /// Some of the data of the current entry, straight from the source's buffer; empty at its end. Say with
    /// [`TarReader::consume`] how much of it was used.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Truncated`].
    pub fn data(&mut self) -> Result<&[u8], Error> {
        let limit = match self.part() {
            None => self.left,
            Some(Part { hole: 0, data }) => data,
            Some(Part { hole, .. }) => {
                let length = usize::try_from(hole).unwrap_or(usize::MAX);
                return Ok(&ZEROS[..length.min(ZEROS.len())]);
            }
        };
        if limit == 0 {
            return Ok(&[]);
        }
        let bytes = loop {
            match self.source.fill_buf() {
                Ok(_) => break self.source.fill_buf().map_err(Error::Read)?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unexpected(error)),
            }
        };
        if bytes.is_empty() {
            return Err(Error::Truncated);
        }
        let length = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        Ok(&bytes[..length])
    }

    /// Takes the hole that comes next in the current entry: its length, 0 where data come. Not taken, it reads as zeros.
    pub fn hole(&mut self) -> u64 {
        match self.part() {
            Some(Part { hole, .. }) if hole > 0 => {
                if let Some(part) = self.parts.front_mut() {
                    part.hole = 0;
                }
                hole
            }
            _ => 0,
        }
    }

    /// The part of a file with holes that is being read; `None` in other files, and at the end.
    fn part(&mut self) -> Option<Part> {
        while let Some(part) = self.parts.front() {
            if part.hole > 0 || part.data > 0 {
                return Some(*part);
            }
            self.parts.pop_front();
        }
        None
    }

    /// Marks `count` bytes of [`TarReader::data`] as used.
    pub fn consume(&mut self, count: usize) {
        let count_64 = count as u64;
        if let Some(part) = self.parts.front_mut() {
            if part.hole > 0 {
                part.hole -= count_64;
                return;
            }
            part.data -= count_64;
        }
        self.source.consume(count);
        self.left -= count_64;
    }

    /// Reads everything after the end of the archive, at most `limit` bytes, so that whoever hashes the source sees
    /// all of it.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::TooLarge`].
    pub fn drain(&mut self, limit: u64) -> Result<(), Error> {
        let mut rest = limit;
        loop {
            let count = self.source.fill_buf().map_err(unexpected)?.len();
            if count == 0 {
                return Ok(());
            }
            rest = rest.checked_sub(count as u64).ok_or(Error::TooLarge {
                what: "bytes after its end",
                limit,
            })?;
            self.source.consume(count);
        }
    }

    fn entry(
        &mut self,
        raw: Raw,
        records: Option<Records>,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, Error> {
        let records = records.unwrap_or_default();
        let named = records
            .sparse
            .as_ref()
            .and_then(|sparse| sparse.name.clone());
        let path = named.or(records.path).or(long_name).unwrap_or(raw.path);
        let kind = match raw.flag {
            // V7 had no type for directories.
            b'0' | 0 | b'7' if path.ends_with(b"/") => Kind::Directory,
            b'0' | 0 | b'7' | flag::GNU_SPARSE => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharacterDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => {
                let flag = char::from(other).escape_default();
                return Err(Error::Unsupported(format!("entry type '{flag}'")));
            }
        };
        let size = match records.size {
            Some(size) => size,
            None => u64::try_from(raw.size).map_err(|_| Error::invalid("negative size"))?,
        };
        // Only files have data, whatever the header says: as Go reads them, so that all see the same entries.
        let size = if kind == Kind::File { size } else { 0 };
        let mut old = raw.sparse;
        while let Some(sparse) = &mut old
            && sparse.more
        {
            let mut block = [0; BLOCK];
            if !self.fill(&mut block)? || sparse.map.len() > MAX_PIECES {
                return Err(Error::invalid("broken map of a sparse file"));
            }
            sparse.extend(&block)?;
        }
        self.left = size;
        self.padding = padding(size)?;
        let size = match (kind, old, records.sparse) {
            (Kind::File, Some(old), _) => self.holes(&old.map, old.size)?,
            (Kind::File, None, Some(sparse)) => self.pax_holes(sparse)?,
            _ => size,
        };
        Ok(Entry {
            path,
            kind,
            link: records.link.or(long_link).unwrap_or(raw.link),
            mode: u32::try_from(raw.mode & 0o7777).unwrap_or(0),
            uid: id(records.uid, raw.uid, "owner")?,
            gid: id(records.gid, raw.gid, "group")?,
            size,
            mtime: records.mtime.unwrap_or(Time {
                seconds: raw.mtime,
                nanoseconds: 0,
            }),
            device: (device(raw.device.0)?, device(raw.device.1)?),
            xattrs: records.xattrs,
        })
    }

    /// The size of a file with holes in one of the formats that PAX records tell.
    fn pax_holes(&mut self, sparse: Sparse) -> Result<u64, Error> {
        let size = sparse.size.filter(|_| !sparse.unknown);
        match (sparse.major, size, sparse.map) {
            (0, Some(size), Some(map)) => self.holes(&map, size),
            (1, Some(size), None) => {
                let map = self.leading_map()?;
                self.holes(&map, size)
            }
            _ => Err(Error::Unsupported("format of a sparse file".to_owned())),
        }
    }

    /// The map in front of the data: decimal numbers, one a line, up to the end of a block.
    fn leading_map(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        let broken = || Error::invalid("broken map of a sparse file");
        let mut block = [0; BLOCK];
        let mut at = BLOCK;
        let mut number = |this: &mut Self| -> Result<u64, Error> {
            let mut value: Option<u64> = None;
            loop {
                if at == BLOCK {
                    this.left = this.left.checked_sub(BLOCK as u64).ok_or_else(broken)?;
                    if !this.fill(&mut block)? {
                        return Err(Error::Truncated);
                    }
                    at = 0;
                }
                let byte = block[at];
                at += 1;
                match (byte, value) {
                    (b'\n', Some(value)) => return Ok(value),
                    (b'0'..=b'9', _) => {
                        let so_far = value.unwrap_or(0).checked_mul(10).ok_or_else(broken)?;
                        let digit = u64::from(byte - b'0');
                        value = Some(so_far.checked_add(digit).ok_or_else(broken)?);
                    }
                    _ => return Err(broken()),
                }
            }
        };
        let count = number(self)?;
        if count > MAX_PIECES as u64 {
            return Err(broken());
        }
        // Grows with what really comes.
        let mut map = Vec::new();
        for _ in 0..count {
            map.push((number(self)?, number(self)?));
        }
        Ok(map)
    }

    /// Lays out a file of `size` bytes whose pieces come one after the other; its size.
    fn holes(&mut self, map: &[(u64, u64)], size: u64) -> Result<u64, Error> {
        let broken = || Error::invalid("broken map of a sparse file");
        let (mut at, mut stored) = (0, 0_u64);
        let mut parts = VecDeque::new();
        for &(offset, data) in map {
            let hole = offset.checked_sub(at).ok_or_else(broken)?;
            at = offset.checked_add(data).ok_or_else(broken)?;
            stored = stored.checked_add(data).ok_or_else(broken)?;
            parts.push_back(Part { hole, data });
        }
        let hole = size.checked_sub(at).ok_or_else(broken)?;
        parts.push_back(Part { hole, data: 0 });
        if stored != self.left || i64::try_from(size).is_err() {
            return Err(broken());
        }
        self.parts = parts;
        Ok(size)
    }

    /// The next header, after what is left of the entry before; `None` at the end.
    fn block(&mut self) -> Result<Option<Raw>, Error> {
        if self.done {
            return Ok(None);
        }
        self.skip()?;
        let mut block = [0; BLOCK];
        if !self.fill(&mut block)? {
            // No end marks: seen in the wild, harmless.
            self.done = true;
            return Ok(None);
        }
        if let Some(raw) = Raw::parse(&block)? {
            return Ok(Some(raw));
        }
        self.done = true;
        if self.fill(&mut block)? && Raw::parse(&block)?.is_some() {
            return Err(Error::invalid("entries after the end of the archive"));
        }
        Ok(None)
    }

    /// Fills the block; `false` when the source is at its end before the first byte.
    fn fill(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, Error> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.source.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Error::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unexpected(error)),
            }
        }
        Ok(true)
    }

    fn skip(&mut self) -> Result<(), Error> {
        // Holes are nowhere in the archive.
        self.parts.clear();
        while self.left > 0 {
            let count = self.data()?.len();
            self.consume(count);
        }
        self.left = std::mem::take(&mut self.padding);
        // Docker's clients end the archive of a context right behind the last file (`docker build -f -`).
        if self.left > 0 && self.source.fill_buf().map_err(unexpected)?.is_empty() {
            self.left = 0;
        }
        while self.left > 0 {
            let count = self.data()?.len();
            self.consume(count);
        }
        Ok(())
    }

    fn begin(&mut self, raw: &Raw) -> Result<u64, Error> {
        let size = u64::try_from(raw.size).map_err(|_| Error::invalid("negative size"))?;
        if size > MAX_EXTENSION {
            return Err(Error::TooLarge {
                what: "bytes in a header",
                limit: MAX_EXTENSION,
            });
        }
        self.left = size;
        self.padding = padding(size)?;
        Ok(size)
    }

    /// The payload of an extended header.
    fn extension(&mut self, raw: &Raw) -> Result<Vec<u8>, Error> {
        let size = self.begin(raw)?;
        // Grows with what really comes, not with what the header says.
        let mut payload = Vec::new();
        while (payload.len() as u64) < size {
            let count = {
                let bytes = self.data()?;
                payload.extend_from_slice(bytes);
                bytes.len()
            };
            self.consume(count);
        }
        Ok(payload)
    }
}

fn unexpected(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Truncated,
        _ => Error::Read(error),
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

fn padding(size: u64) -> Result<u64, Error> {
    let end = size
        .checked_next_multiple_of(BLOCK as u64)
        .filter(|end| i64::try_from(*end).is_ok())
        .ok_or_else(|| Error::invalid("impossible size"))?;
    Ok(end - size)
}

/// An owner the kernel takes: the highest number means "unchanged" there.
fn id(record: Option<u64>, field: i64, what: &str) -> Result<u32, Error> {
    let id = match record {
        Some(id) => u32::try_from(id).ok(),
        None => u32::try_from(field).ok(),
    };
    id.filter(|id| *id != u32::MAX)
        .ok_or_else(|| Error::invalid(format!("{what} out of range")))
}

fn device(number: i64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::invalid("device number out of range"))
}
