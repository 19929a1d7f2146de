//! What files are known by: the same digest, the same files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rustix::fs::FileType;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::attributes::Xattrs;
use super::chmod::Chmod;
use super::item::{Facts, Item};
use super::walk::Visit;
use super::{Error, tree};

/// Takes in files, one after the other.
pub(crate) struct Digest<'a> {
    hash: Sha256,
    chmod: &'a Chmod,
    /// Whether it matters to whom files belong.
    with_owners: bool,
    linked: HashMap<(u64, u64), Vec<u8>>,
}

impl<'a> Digest<'a> {
    pub(crate) fn new(chmod: &'a Chmod, with_owners: bool) -> Self {
        Self {
            hash: Sha256::new(),
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
        facts: &Facts,
        xattrs: Result<Xattrs, Errno>,
    ) -> Result<(), Error> {
        let mode = match facts.kind() {
            FileType::Symlink => 0o777,
            kind => self.chmod.apply(facts.mode, kind == FileType::Directory),
        };
        self.number(u64::from(mode));
        if self.with_owners {
            let (user, group) = facts.owner;
            self.number(u64::from(user) << 32 | u64::from(group));
        }
        let found = xattrs.map_err(Error::file("read attributes of", path))?;
        self.number(found.len() as u64);
        for (key, value) in &found {
            self.word(key);
            self.word(value);
        }
        Ok(())
    }

    fn content(&mut self, path: &[u8], item: &Item<'_>) -> Result<(), Error> {
        let opened = item.open().map_err(|error| error.on(path))?;
        self.attributes(path, &opened.facts, opened.xattrs())?;
        self.number(opened.facts.size);
        self.hash
            .update(opened.digest().map_err(|error| error.on(path))?);
        Ok(())
    }
}

impl Visit for Digest<'_> {
    fn enter(&mut self, path: &[u8], directory: &Item<'_>) -> Result<(), Error> {
        self.word(b"directory");
        self.word(tree::split(path).1);
        self.attributes(path, &directory.facts, directory.xattrs())
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.word(b"");
        Ok(())
    }

    fn file(&mut self, path: &[u8], item: &Item<'_>) -> Result<(), Error> {
        let kind = item.facts.kind();
        if kind == FileType::RegularFile
            && let Some(identity) = item.facts.identity
        {
            let first = self.linked.entry(identity);
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
            FileType::RegularFile => return self.content(path, item),
            FileType::Symlink => {
                let target = item.target().map_err(Error::file("read link", path))?;
                self.word(&target);
            }
            _ => self.number(item.facts.device),
        }
        self.attributes(path, &item.facts, item.xattrs())
    }
}
