//! The bytes of files: copied by the kernel where it can, holes kept, and what they are known by.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;

use rustix::fs::{SeekFrom, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// Files up to this size go through a buffer: that is two calls.
const SMALL: u64 = 64 << 10;
/// Read at a time.
const BUFFER: usize = 256 << 10;

/// The bytes of a file: all that a file of the disk has, or a part of one. Whoever reads them moves nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) file: &'a File,
    /// Where they begin.
    pub(crate) at: u64,
    pub(crate) size: u64,
    pub(crate) has_holes: bool,
    /// It is all of the file, which may have become longer, or not know its size.
    pub(crate) is_whole: bool,
}

impl Part<'_> {
    /// What they are known by: their SHA-256.
    pub(crate) fn digest(&self) -> io::Result<[u8; 32]> {
        let size = usize::try_from(self.size).unwrap_or(BUFFER);
        let mut buffer = vec![0; size.saturating_add(1).min(BUFFER)];
        let mut hash = Sha256::new();
        let mut reader = self.reader();
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hash.finalize().into()),
                Ok(count) => hash.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// From their beginning.
    pub(crate) fn reader(&self) -> PartReader<'_> {
        PartReader {
            file: self.file,
            at: self.at,
            left: match self.is_whole {
                true => u64::MAX,
                false => self.size,
            },
        }
    }
}

/// Reads a part of a file.
#[derive(Debug)]
pub(crate) struct PartReader<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl<'a> PartReader<'a> {
    /// Of all that a file has.
    pub(crate) fn all(file: &'a File) -> Self {
        let (at, left) = (0, u64::MAX);
        Self { file, at, left }
    }
}

impl Read for PartReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Copies files, and remembers what the file systems between which it does can do.
#[derive(Debug, Default)]
pub(crate) struct Copier {
    cannot_clone: bool,
    cannot_copy: bool,
    buffer: Vec<u8>,
}

impl Copier {
    /// Copies all bytes of `source` to `target`, which is empty.
    pub(crate) fn copy(&mut self, source: &Part<'_>, target: &File) -> io::Result<()> {
        let Part { file, at, size, .. } = *source;
        if size == 0 || size <= SMALL && !source.has_holes {
            return self.through(source.reader(), target);
        }
        if source.is_whole && !self.cannot_clone {
            match ioctl_ficlone(target, file) {
                Ok(()) => return Ok(()),
                Err(_) => self.cannot_clone = true,
            }
        }
        if !source.has_holes {
            return self.range(file, at, size, target);
        }
        let (mut here, end_of_all) = (at, at + size);
        while here < end_of_all {
            let start = match seek(file, SeekFrom::Data(here)) {
                Ok(start) => start.min(end_of_all),
                Err(Errno::NXIO) => break,
                // Small files may lie in their inode, and some file systems know no holes.
                Err(Errno::INVAL) => here,
                Err(errno) => return Err(errno.into()),
            };
            let end = match seek(file, SeekFrom::Hole(start)) {
                Ok(end) => end.min(end_of_all),
                Err(Errno::INVAL | Errno::NXIO) => end_of_all,
                Err(errno) => return Err(errno.into()),
            };
            seek(target, SeekFrom::Start(start - at))?;
            self.range(file, start, end - start, target)?;
            here = end;
        }
        Ok(ftruncate(target, size)?)
    }

    /// By the kernel to where `target` is; from the end of the file on there is nothing.
    fn range(&mut self, file: &File, at: u64, size: u64, target: &File) -> io::Result<()> {
        let (mut here, mut left) = (at, size);
        while left > 0 && !self.cannot_copy {
            let most = usize::try_from(left.min(1 << 30)).unwrap_or(1 << 30);
            match copy_file_range(file, Some(&mut here), target, None, most) {
                // Files of some file systems claim to be empty to this call.
                Ok(0) => break,
                Ok(count) => left -= count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                    self.cannot_copy = true;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        let rest = PartReader {
            file,
            at: at + (size - left),
            left,
        };
        self.through(rest, target)
    }

    fn through(&mut self, mut source: PartReader<'_>, mut target: &File) -> io::Result<()> {
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER];
        }
        while source.left > 0 {
            match source.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => target.write_all(&self.buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
