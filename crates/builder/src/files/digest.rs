//! What files are known by: the same digest, the same files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::attributes::{Place, xattrs};
use super::chmod::Chmod;
use super::content::Contents;
use super::walk::Visit;
use super::{Error, tree};

/// Takes in files, one after the other.
pub(crate) struct Digest<'a> {
    hash: Sha256,
    contents: &'a dyn Contents,
    chmod: &'a Chmod,
    /// Whether it matters to whom files belong.
    with_owners: bool,
    linked: HashMap<(u64, u64), Vec<u8>>,
}

impl<'a> Digest<'a> {
    pub(crate) fn new(contents: &'a dyn Contents, chmod: &'a Chmod, with_owners: bool) -> Self {
        Self {
            hash: Sha256::new(),
            contents,
            chmod,
            with_owners,
            linked: HashMap::new(),
        }
    }

    /// A word, which cannot be taken for two.
    pub(crate) fn word(&mut self, word: &[u8]) {
        self.hash.update((word.len() as u64).to_le_bytes());
        self.hash.update(word);
    }

    fn number(&mut self, number: u64) {
        self.hash.update(number.to_le_bytes());
    }

    /// Another source begins; hard links do not go from one to the other.
    pub(crate) fn source(&mut self, kind: &str, name: &[u8]) {
        self.word(kind.as_bytes());
        self.word(name);
        self.linked.clear();
    }

    pub(crate) fn finish(self) -> String {
        let bytes: [u8; 32] = self.hash.finalize().into();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }

    /// Owner, mode and extended attributes.
    pub(crate) fn attributes(
        &mut self,
        path: &[u8],
        place: Place<'_>,
        status: &Stat,
    ) -> Result<(), Error> {
        let kind = FileType::from_raw_mode(status.st_mode);
        let mode = match kind {
            FileType::Symlink => 0o777,
            kind => self
                .chmod
                .apply(status.st_mode, kind == FileType::Directory),
        };
        self.number(u64::from(mode));
        if self.with_owners {
            self.number(u64::from(status.st_uid) << 32 | u64::from(status.st_gid));
        }
        let found = xattrs(place).map_err(Error::file("read attributes of", path))?;
        self.number(found.len() as u64);
        for (key, value) in &found {
            self.word(key);
            self.word(value);
        }
        Ok(())
    }

    fn content(&mut self, path: &[u8], at: BorrowedFd<'_>, name: &[u8]) -> Result<(), Error> {
        let (file, status) = open_file(at, name).map_err(Error::file("open", path))?;
        self.attributes(path, Place::Open(file.as_fd()), &status)?;
        self.number(u64::try_from(status.st_size).unwrap_or(0));
        let digest = self.contents.digest(&file, &status);
        self.hash.update(digest.map_err(Error::file("read", path))?);
        Ok(())
    }
}

/// Opens a file to read it; anything else that has come into its place is refused.
pub(crate) fn open_file(at: BorrowedFd<'_>, name: &[u8]) -> Result<(File, Stat), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(at, name, flags, Mode::empty())?);
    let status = fstat(&file)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => Ok((file, status)),
        _ => Err(Errno::AGAIN),
    }
}

impl Visit for Digest<'_> {
    fn enter(
        &mut self,
        path: &[u8],
        directory: BorrowedFd<'_>,
        status: &Stat,
    ) -> Result<(), Error> {
        self.word(b"directory");
        self.word(tree::split(path).1);
        self.attributes(path, Place::Open(directory), status)
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.word(b"");
        Ok(())
    }

    fn file(
        &mut self,
        path: &[u8],
        parent: BorrowedFd<'_>,
        name: &[u8],
        status: &Stat,
    ) -> Result<(), Error> {
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind == FileType::RegularFile && status.st_nlink > 1 {
            let first = self.linked.entry((status.st_dev, status.st_ino));
            if let Entry::Occupied(first) = first {
                let first = first.get().clone();
                self.word(b"again");
                self.word(tree::split(path).1);
                self.word(&first);
                return Ok(());
            }
            first.or_insert_with(|| path.to_vec());
        }
        self.word(match kind {
            FileType::RegularFile => b"file".as_slice(),
            FileType::Symlink => b"link",
            FileType::Fifo => b"fifo",
            FileType::CharacterDevice => b"character",
            FileType::BlockDevice => b"block",
            _ => b"socket",
        });
        // A source that was a link goes by the name it was asked by.
        self.word(tree::split(path).1);
        match kind {
            FileType::RegularFile => return self.content(path, parent, name),
            FileType::Symlink => {
                let target = readlinkat(parent, name, Vec::new());
                self.word(target.map_err(Error::file("read link", path))?.as_bytes());
            }
            _ => self.number(status.st_rdev),
        }
        self.attributes(path, Place::Name(parent, name), status)
    }
}
