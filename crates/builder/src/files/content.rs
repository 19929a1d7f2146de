//! The bytes of files: copied by the kernel where it can, holes kept, and what they are known by.

use std::fs::File;
use std::io::{self, Read, Write as _};

use rustix::fs::{SeekFrom, Stat, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// Files up to this size go through a buffer: that is two calls.
const SMALL: u64 = 64 << 10;
/// Read at a time.
const BUFFER: usize = 256 << 10;

/// Says what the bytes of a file are known by. Whoever remembers that of files that have not changed puts itself here.
pub trait Contents {
    /// The SHA-256 of the bytes of `file`, which is open at its beginning.
    ///
    /// # Errors
    /// When it cannot be read.
    fn digest(&self, file: &File, status: &Stat) -> io::Result<[u8; 32]>;
}

/// Reads every file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading;

impl Contents for Reading {
    fn digest(&self, mut file: &File, status: &Stat) -> io::Result<[u8; 32]> {
        let size = usize::try_from(status.st_size).unwrap_or(0);
        let mut buffer = vec![0; (size + 1).min(BUFFER)];
        let mut hash = Sha256::new();
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hash.finalize().into()),
                Ok(count) => hash.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
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
    /// Copies all bytes of `source`, which has this status, to `target`, which is empty.
    pub(crate) fn copy(&mut self, source: &File, target: &File, status: &Stat) -> io::Result<()> {
        let size = u64::try_from(status.st_size).unwrap_or(0);
        if size == 0 {
            // It may have become longer, or not know its size.
            return self.through(source, target, u64::MAX);
        }
        // Blocks of 512 bytes: a file without holes takes as many as its size, or more.
        let has_holes = u64::try_from(status.st_blocks).unwrap_or(0) * 512 < size;
        if size <= SMALL && !has_holes {
            return self.through(source, target, u64::MAX);
        }
        if !self.cannot_clone {
            match ioctl_ficlone(target, source) {
                Ok(()) => return Ok(()),
                Err(_) => self.cannot_clone = true,
            }
        }
        if !has_holes {
            return self.range(source, target, size);
        }
        let mut at = 0;
        while at < size {
            let start = match seek(source, SeekFrom::Data(at)) {
                Ok(start) => start,
                Err(Errno::NXIO) => break,
                // Small files may lie in their inode, and some file systems know no holes.
                Err(Errno::INVAL) => at,
                Err(errno) => return Err(errno.into()),
            };
            let end = match seek(source, SeekFrom::Hole(start)) {
                Ok(end) => end,
                Err(Errno::INVAL) => size,
                Err(errno) => return Err(errno.into()),
            };
            seek(source, SeekFrom::Start(start))?;
            seek(target, SeekFrom::Start(start))?;
            self.range(source, target, end.min(size) - start)?;
            at = end;
        }
        Ok(ftruncate(target, size)?)
    }

    /// By the kernel from where both are; from the end of the file on there is nothing.
    fn range(&mut self, source: &File, target: &File, mut size: u64) -> io::Result<()> {
        while size > 0 && !self.cannot_copy {
            let most = usize::try_from(size.min(1 << 30)).unwrap_or(1 << 30);
            match copy_file_range(source, None, target, None, most) {
                // Files of some file systems claim to be empty to this call.
                Ok(0) => break,
                Ok(count) => size -= count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                    self.cannot_copy = true;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        self.through(source, target, size)
    }

    fn through(&mut self, source: &File, mut target: &File, mut size: u64) -> io::Result<()> {
        if size == 0 {
            return Ok(());
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER];
        }
        let mut source = source;
        while size > 0 {
            let most = usize::try_from(size).unwrap_or(BUFFER).min(BUFFER);
            match source.read(&mut self.buffer[..most]) {
                Ok(0) => break,
                Ok(count) => {
                    target.write_all(&self.buffer[..count])?;
                    size -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
