//! A tree that is told, not made: names, kinds, modes, links, attributes, and what the bytes of each file are known by,
//! in memory. Where the bytes are, if anywhere yet, is the business of its [`Contents`].
//!
//! An entry costs about 200 bytes besides its name: a node, and its place in the directory it is in.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::fs::File;
use std::sync::Arc;

use onggi_archive::Time;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::Error;
use super::attributes::Xattrs;
use super::tree::parts;

/// As many links as the kernel follows in one path (path_resolution(7)).
const LINKS: usize = 40;
/// As long as a name may be.
const NAME: usize = 255;
/// As long as what a link says may be, with the byte that ends it.
pub(crate) const PATH: usize = 4096;

/// What a node is known by.
pub(crate) type Number = u32;
/// The directory all is in.
pub(crate) const ROOT: Number = 0;

/// The bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Their SHA-256.
    pub digest: [u8; 32],
    /// How many there are.
    pub size: u64,
    /// What whoever has them knows them by.
    pub at: u64,
}

/// Who has the bytes of the files of an index.
pub trait Contents: Debug + Send + Sync {
    /// Sees to it that these can be opened. Blocks until they are there.
    ///
    /// # Errors
    /// Why they cannot be had.
    fn fetch(&self, wanted: &[Content]) -> Result<(), Error>;

    /// The file that has the bytes, and where in it they begin.
    ///
    /// # Errors
    /// What the disk says; nobody fetched them.
    fn open(&self, content: &Content) -> Result<(Arc<File>, u64), Error>;
}

/// How much an index may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Entries, those that were replaced with them.
    pub entries: u64,
    /// Bytes of names, of what links say, and of extended attributes.
    pub words: u64,
}

impl Default for Bounds {
    /// Four million entries, and as many bytes of names as they may need: together about 1.5 GB of memory.
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            words: 512 << 20,
        }
    }
}

/// A tree in memory.
#[derive(Debug)]
pub struct Index {
    nodes: Vec<Node>,
    contents: Arc<dyn Contents>,
    bounds: Bounds,
    words: u64,
    /// Some attributes are what the file system makes of them.
    is_kernels: bool,
}

/// Something that has a name, or several.
#[derive(Debug)]
pub(crate) struct Node {
    /// Kind and permissions.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Names it has; none where it was replaced.
    pub(crate) links: u32,
    pub(crate) mtime: Time,
    pub(crate) what: What,
    xattrs: Option<Box<Xattrs>>,
}

impl Node {
    pub(crate) fn xattrs(&self) -> &[(Vec<u8>, Vec<u8>)] {
        self.xattrs.as_ref().map_or(&[], |xattrs| xattrs.as_slice())
    }
}

#[derive(Debug)]
pub(crate) enum What {
    Directory(BTreeMap<Box<[u8]>, Number>),
    File { content: Content, has_holes: bool },
    Link(Box<[u8]>),
    Device(u64),
}

/// What a node gets that is no matter of its kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dress {
    /// Permissions alone.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    pub(crate) xattrs: Xattrs,
}

impl Index {
    /// With a root that nothing is in.
    pub(crate) fn new(contents: Arc<dyn Contents>, bounds: Bounds, root: &Dress) -> Self {
        let mut index = Self {
            nodes: Vec::new(),
            contents,
            bounds,
            words: 0,
            is_kernels: false,
        };
        index.nodes.push(Node {
            mode: root.mode | FileType::Directory.as_raw_mode(),
            uid: root.uid,
            gid: root.gid,
            links: 1,
            mtime: root.mtime,
            what: What::Directory(BTreeMap::new()),
            xattrs: None,
        });
        index
    }

    pub(crate) fn contents(&self) -> &dyn Contents {
        &*self.contents
    }

    pub(crate) fn node(&self, number: Number) -> &Node {
        // Numbers are handed out by this index alone, and none is taken back.
        &self.nodes[number as usize]
    }

    fn node_mut(&mut self, number: Number) -> &mut Node {
        &mut self.nodes[number as usize]
    }

    /// What there is too much of, where something was refused with `E2BIG`.
    pub(crate) fn excess(&self) -> (&'static str, u64) {
        match self.words > self.bounds.words {
            true => ("bytes of names", self.bounds.words),
            false => ("entries", self.bounds.entries),
        }
    }

    /// Whether it has attributes of which only a file system knows what becomes of them. Of such a tree make files.
    #[must_use]
    pub fn needs_files(&self) -> bool {
        self.is_kernels
    }

    /// How many files, directories and others it has, and had.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn children(
        &self,
        directory: Number,
    ) -> Result<&BTreeMap<Box<[u8]>, Number>, Errno> {
        match &self.node(directory).what {
            What::Directory(children) => Ok(children),
            _ => Err(Errno::NOTDIR),
        }
    }

    pub(crate) fn child(&self, directory: Number, name: &[u8]) -> Result<Number, Errno> {
        if matches!(name, b"" | b".") {
            return Ok(directory);
        }
        let found = self.children(directory)?.get(name);
        found.copied().ok_or(Errno::NOENT)
    }

    /// What is at a path below `root`, as if that were `/`; links are followed, the last one only where asked for.
    pub(crate) fn find(&self, root: Number, path: &[u8], follows: bool) -> Result<Number, Errno> {
        let mut ahead: VecDeque<&[u8]> = parts(path).collect();
        let mut behind = vec![root];
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            let here = behind.last().copied().unwrap_or(root);
            if name == b".." {
                if behind.len() > 1 {
                    behind.pop();
                }
                continue;
            }
            let found = self.child(here, name)?;
            match &self.node(found).what {
                What::Link(target) if follows || !ahead.is_empty() => {
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::LOOP);
                    }
                    if target.starts_with(b"/") {
                        behind.truncate(1);
                    }
                    for part in parts(target).rev() {
                        ahead.push_front(part);
                    }
                }
                _ => behind.push(found),
            }
        }
        Ok(behind.last().copied().unwrap_or(root))
    }

    /// Where a path leads: as `onggi_sys::inside::follow` has it.
    pub(crate) fn follow(&self, root: Number, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut ahead: VecDeque<&[u8]> = parts(path).collect();
        // Each name with what is there, if anything.
        let mut behind: Vec<(&[u8], Option<Number>)> = Vec::new();
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == b".." {
                behind.pop();
                continue;
            }
            let here = behind.last().map_or(Some(root), |(_, number)| *number);
            let found = here.and_then(|here| self.child(here, name).ok());
            let Some(What::Link(target)) = found.map(|found| &self.node(found).what) else {
                behind.push((name, found));
                continue;
            };
            links += 1;
            if links > LINKS {
                return Err(Errno::LOOP);
            }
            if target.starts_with(b"/") {
                behind.clear();
            }
            for part in parts(target).rev() {
                ahead.push_front(part);
            }
        }
        let names: Vec<&[u8]> = behind.iter().map(|(name, _)| *name).collect();
        Ok(names.join(&b'/'))
    }

    /// What is at a path that has no links in it, but for its last name.
    pub(crate) fn find_plain(&self, root: Number, path: &[u8]) -> Result<Number, Errno> {
        let mut here = root;
        for name in parts(path) {
            if matches!(self.node(here).what, What::Link(_)) {
                return Err(Errno::LOOP);
            }
            here = self.child(here, name)?;
        }
        Ok(here)
    }

    /// The directory at a path, for what comes into it; made as `dress` says where it is not there.
    pub(crate) fn directory(
        &mut self,
        path: &[u8],
        dress: Option<&Dress>,
    ) -> Result<Number, Errno> {
        let mut ahead: VecDeque<Vec<u8>> = parts(path).map(<[u8]>::to_vec).collect();
        let mut behind = vec![(ROOT, 0)];
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            let (here, length) = behind.last().copied().unwrap_or((ROOT, 0));
            if name == b".." {
                if behind.len() > 1 {
                    behind.pop();
                }
                continue;
            }
            let length = length + 1 + name.len();
            // Links could lead on and on.
            if length > PATH {
                return Err(Errno::NAMETOOLONG);
            }
            let found = match (self.child(here, &name), dress) {
                (Err(Errno::NOENT), Some(dress)) => self.make(
                    here,
                    &name,
                    FileType::Directory,
                    dress.clone(),
                    What::Directory(BTreeMap::new()),
                )?,
                (found, _) => found?,
            };
            match &self.node(found).what {
                What::Directory(_) => behind.push((found, length)),
                What::Link(target) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::LOOP);
                    }
                    if target.starts_with(b"/") {
                        behind.truncate(1);
                    }
                    let parts: Vec<Vec<u8>> = parts(target).map(<[u8]>::to_vec).collect();
                    for part in parts.into_iter().rev() {
                        ahead.push_front(part);
                    }
                }
                _ => return Err(Errno::NOTDIR),
            }
        }
        Ok(behind.last().map_or(ROOT, |(number, _)| *number))
    }

    /// Makes something at a name that is free.
    pub(crate) fn make(
        &mut self,
        parent: Number,
        name: &[u8],
        kind: FileType,
        dress: Dress,
        what: What,
    ) -> Result<Number, Errno> {
        if self.nodes.len() as u64 >= self.bounds.entries {
            return Err(Errno::TOOBIG);
        }
        let number = Number::try_from(self.nodes.len()).map_err(|_| Errno::TOOBIG)?;
        if let What::Link(target) = &what {
            self.count(target.len())?;
        }
        self.name(parent, name, number)?;
        self.nodes.push(Node {
            mode: kind.as_raw_mode(),
            uid: 0,
            gid: 0,
            links: 1,
            mtime: Time::default(),
            what,
            xattrs: None,
        });
        self.dress(number, dress)?;
        Ok(number)
    }

    /// Another name for what is there.
    pub(crate) fn link(&mut self, parent: Number, name: &[u8], to: Number) -> Result<(), Errno> {
        let node = self.node(to);
        match (&node.what, node.links) {
            // It went with what was in the way of its new name.
            (_, 0) => return Err(Errno::NOENT),
            (What::Directory(_), _) => return Err(Errno::PERM),
            _ => {}
        }
        self.name(parent, name, to)?;
        self.node_mut(to).links += 1;
        Ok(())
    }

    fn name(&mut self, parent: Number, name: &[u8], number: Number) -> Result<(), Errno> {
        if name.len() > NAME {
            return Err(Errno::NAMETOOLONG);
        }
        if name.contains(&0) {
            return Err(Errno::INVAL);
        }
        self.count(name.len())?;
        match &mut self.node_mut(parent).what {
            What::Directory(children) => {
                children.insert(name.into(), number);
                Ok(())
            }
            _ => Err(Errno::NOTDIR),
        }
    }

    fn count(&mut self, words: usize) -> Result<(), Errno> {
        self.words += words as u64;
        match self.words > self.bounds.words {
            true => Err(Errno::TOOBIG),
            false => Ok(()),
        }
    }

    /// Gives a node owner, mode, time and attributes; those it has stay beside them.
    pub(crate) fn dress(&mut self, number: Number, dress: Dress) -> Result<(), Errno> {
        let kind = FileType::from_raw_mode(self.node(number).mode);
        let mut xattrs = dress.xattrs;
        xattrs.retain(|(key, _)| {
            let is_overlays =
                key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.");
            // The kernel has user attributes on files and directories only.
            let has_none = key.starts_with(b"user.")
                && !matches!(kind, FileType::RegularFile | FileType::Directory);
            !is_overlays && !has_none
        });
        let words: usize = xattrs
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        self.count(words)?;
        self.is_kernels |= xattrs.iter().any(|(key, _)| !key.starts_with(b"user."));
        let node = self.node_mut(number);
        node.mode = kind.as_raw_mode() | dress.mode & 0o7777;
        (node.uid, node.gid, node.mtime) = (dress.uid, dress.gid, dress.mtime);
        if !xattrs.is_empty() {
            let mut all: BTreeMap<Vec<u8>, Vec<u8>> = node
                .xattrs
                .take()
                .map_or_else(BTreeMap::new, |xattrs| xattrs.into_iter().collect());
            all.extend(xattrs);
            node.xattrs = Some(Box::new(all.into_iter().collect()));
        }
        Ok(())
    }

    /// Removes a name, and all that is below it.
    pub(crate) fn remove(&mut self, parent: Number, name: &[u8]) {
        let What::Directory(children) = &mut self.node_mut(parent).what else {
            return;
        };
        let mut waiting: Vec<Number> = children.remove(name).into_iter().collect();
        while let Some(number) = waiting.pop() {
            let node = self.node_mut(number);
            node.links = node.links.saturating_sub(1);
            if let What::Directory(children) = &mut node.what {
                waiting.extend(std::mem::take(children).into_values());
            }
        }
    }
}
