//! Writing a tar: ustar blocks, with PAX records in front where ustar cannot say it. The same entries always give the
//! same bytes.

use std::io::{Read, Write};

use crate::Error;
use crate::header::{BLOCK, Entry, Kind, Raw, block, flag};
use crate::pax;

/// Copied at a time.
const BUFFER: usize = 128 << 10;

/// Writes a tar from front to back.
pub struct TarWriter<W> {
    sink: W,
    buffer: Vec<u8>,
}

impl<W> std::fmt::Debug for TarWriter<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TarWriter").finish_non_exhaustive()
    }
}

impl<W: Write> TarWriter<W> {
    /// Writes to `sink`, which should be buffered.
    pub fn new(sink: W) -> TarWriter<W> {
        TarWriter {
            sink,
            buffer: Vec::new(),
        }
    }

    /// Writes an entry without data.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Invalid`] when the entry says it has data.
    pub fn header(&mut self, entry: &Entry) -> Result<(), Error> {
        match entry.size {
            0 => self.start(entry),
            _ => Err(Error::invalid(
                "an entry with data was written without them",
            )),
        }
    }

    /// Writes a file with `entry.size` bytes from `data`. Bytes beyond are left there; bytes that do not come are zeros,
    /// as of a file that shrinks while it is read. Says how many those were.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Read`] when `data` fails.
    pub fn file(&mut self, entry: &Entry, mut data: impl Read) -> Result<u64, Error> {
        self.start(entry)?;
        self.buffer.resize(BUFFER, 0);
        let mut left = entry.size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            match data.read(&mut self.buffer[..want]) {
                Ok(0) => break,
                Ok(count) => {
                    self.sink
                        .write_all(&self.buffer[..count])
                        .map_err(Error::Write)?;
                    left -= count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
        let missing = left;
        if left > 0 {
            self.buffer.fill(0);
            while left > 0 {
                let count = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
                self.sink
                    .write_all(&self.buffer[..count])
                    .map_err(Error::Write)?;
                left -= count as u64;
            }
        }
        self.pad(entry.size)?;
        Ok(missing)
    }

    /// As [`TarWriter::file`] of a file with holes, in GNU's format 1.0, which Go, libarchive and GNU tar read: only the
    /// `pieces`, offsets and lengths in ascending order, are asked of `read` and written.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Read`] when `read` fails.
    pub fn sparse(
        &mut self,
        entry: &Entry,
        pieces: &[(u64, u64)],
        mut read: impl FnMut(&mut [u8], u64) -> std::io::Result<usize>,
    ) -> Result<u64, Error> {
        let mut map = format!("{}\n", pieces.len() + 1);
        for (offset, length) in pieces {
            map.push_str(&format!("{offset}\n{length}\n"));
        }
        // A piece of nothing ends the file, as GNU tar writes it.
        map.push_str(&format!("{}\n0\n", entry.size));
        let mut map = map.into_bytes();
        map.resize(map.len().next_multiple_of(BLOCK), 0);
        let mut stored = entry.clone();
        stored.path = beside(&entry.path);
        stored.size = pieces.iter().map(|(_, length)| length).sum::<u64>() + map.len() as u64;
        self.start_with(&stored, |records| {
            records.record(b"GNU.sparse.major", b"1");
            records.record(b"GNU.sparse.minor", b"0");
            records.record(b"GNU.sparse.name", &entry.path);
            records.record(b"GNU.sparse.realsize", entry.size.to_string().as_bytes());
        })?;
        self.sink.write_all(&map).map_err(Error::Write)?;
        let mut missing = 0;
        for &(offset, length) in pieces {
            let mut at = 0;
            while at < length {
                self.buffer.resize(BUFFER, 0);
                let want = usize::try_from(length - at).unwrap_or(BUFFER).min(BUFFER);
                let count = match read(&mut self.buffer[..want], offset + at) {
                    Ok(0) => {
                        self.buffer[..want].fill(0);
                        missing += want as u64;
                        want
                    }
                    Ok(count) => count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(Error::Read(error)),
                };
                self.sink
                    .write_all(&self.buffer[..count])
                    .map_err(Error::Write)?;
                at += count as u64;
            }
        }
        self.pad(stored.size)?;
        Ok(missing)
    }

    /// Writes the end of the archive and gives the sink back, not flushed.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(mut self) -> Result<W, Error> {
        self.sink.write_all(&[0; 2 * BLOCK]).map_err(Error::Write)?;
        Ok(self.sink)
    }

    fn start(&mut self, entry: &Entry) -> Result<(), Error> {
        self.start_with(entry, |_| ())
    }

    /// As [`TarWriter::start`], with more to tell in PAX records.
    fn start_with(
        &mut self,
        entry: &Entry,
        more: impl FnOnce(&mut pax::Writer),
    ) -> Result<(), Error> {
        let (bytes, unfit) = block(entry, type_flag(entry.kind));
        let mut records = pax::Writer::default();
        if unfit.path {
            records.record(b"path", &entry.path);
        }
        if unfit.link {
            records.record(b"linkpath", &entry.link);
        }
        if unfit.size {
            records.record(b"size", entry.size.to_string().as_bytes());
        }
        if unfit.uid {
            records.record(b"uid", entry.uid.to_string().as_bytes());
        }
        if unfit.gid {
            records.record(b"gid", entry.gid.to_string().as_bytes());
        }
        if unfit.mtime {
            records.time(b"mtime", entry.mtime);
        }
        for (name, value) in &entry.xattrs {
            records.xattr(name, value);
        }
        more(&mut records);
        let payload = records.payload();
        if !payload.is_empty() {
            let name = [b"PaxHeaders.0/", &entry.path[..entry.path.len().min(80)]].concat();
            let mut extension = Entry::new(name, Kind::File, 0o644);
            extension.size = payload.len() as u64;
            self.sink
                .write_all(&block(&extension, flag::PAX).0)
                .map_err(Error::Write)?;
            self.sink.write_all(payload).map_err(Error::Write)?;
            self.pad(extension.size)?;
        }
        debug_assert!(matches!(Raw::parse(&bytes), Ok(Some(_))));
        self.sink.write_all(&bytes).map_err(Error::Write)
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        let over = (size % BLOCK as u64) as usize;
        match over {
            0 => Ok(()),
            over => self
                .sink
                .write_all(&[0; BLOCK][over..])
                .map_err(Error::Write),
        }
    }
}

/// Where those who do not know the format put a file with holes: `a/b` goes to `a/GNUSparseFile.0/b`.
fn beside(path: &[u8]) -> Vec<u8> {
    let (parent, name) = crate::tree::split(path);
    crate::tree::join(&crate::tree::join(parent, b"GNUSparseFile.0"), name)
}

fn type_flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharacterDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}
