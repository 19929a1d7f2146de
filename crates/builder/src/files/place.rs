//! Files into a root file system.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Timestamps, fstat, futimens, linkat, mkdirat,
    mknodat, openat, openat2, symlinkat,
};
use rustix::io::Errno;

use super::attributes::{Attributes, Place, Xattrs, times};
use super::chmod::Chmod;
use super::content::Copier;
use super::item::{Facts, Item};
use super::target::{self, replacing};
use super::walk::{Visit, absolute};
use super::{Error, tree};

/// What becomes of owners and modes.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// To whom everything belongs; `None` for whom it belongs to now.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) chmod: Chmod,
}

impl Change {
    pub(crate) fn attributes(
        &self,
        facts: &Facts,
        xattrs: Result<Xattrs, Errno>,
    ) -> Result<Attributes, Errno> {
        let kind = facts.kind();
        let mode = self.chmod.apply(facts.mode, kind == FileType::Directory);
        Ok(Attributes {
            owner: self.owner.unwrap_or(facts.owner),
            mode: (kind != FileType::Symlink).then_some(mode),
            time: Timestamps {
                last_access: facts.time,
                last_modification: facts.time,
            },
            xattrs: xattrs?,
        })
    }
}

/// Copies what is found below one directory.
pub(crate) struct Placer<'a> {
    root: BorrowedFd<'a>,
    change: &'a Change,
    copier: &'a mut Copier,
    /// From the destination down.
    open: Vec<Open>,
    /// Where the first name of each file that has several went, below the root.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

struct Open {
    directory: OwnedFd,
    /// Below the root, without links.
    path: Vec<u8>,
    end: End,
}

/// What a directory gets when all that is in it has been made.
enum End {
    Attributes(Attributes),
    /// It is not ours: the time it had.
    Time(Timestamps),
}

impl<'a> Placer<'a> {
    /// For what goes below `directory`, which is at `path`.
    pub(crate) fn new(
        root: BorrowedFd<'a>,
        change: &'a Change,
        copier: &'a mut Copier,
        directory: OwnedFd,
        path: Vec<u8>,
    ) -> Result<Self, Error> {
        let status = fstat(&directory).map_err(Error::file("stat", absolute(&path)))?;
        let top = Open {
            directory,
            path,
            end: End::Time(times(&status)),
        };
        Ok(Self {
            root,
            change,
            copier,
            open: vec![top],
            linked: HashMap::new(),
        })
    }

    /// When all has been copied.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.leave()
    }

    fn top(&self) -> Result<&Open, Error> {
        let gone = || Error::file("open", b"/")(Errno::BADF);
        self.open.last().ok_or_else(gone)
    }

    /// Copies something to `name` in the directory that is open.
    pub(crate) fn copy(&mut self, item: &Item<'_>, name: &[u8]) -> Result<(), Error> {
        let top = self.top()?;
        let path = tree::join(&top.path, name);
        let kind = item.facts.kind();
        if kind == FileType::RegularFile {
            return self.regular(item, name, path);
        }
        let at = top.directory.as_fd();
        match kind {
            FileType::Symlink => {
                let target = item
                    .target()
                    .map_err(Error::file("read link", absolute(&path)))?;
                replacing(at, name, &path, || symlinkat(target.as_slice(), at, name))?;
            }
            kind => {
                // A socket means nothing without who listens: what is left of it is an empty file.
                let (kind, device) = match kind {
                    FileType::Socket => (FileType::RegularFile, 0),
                    FileType::Fifo => (FileType::Fifo, 0),
                    kind => (kind, item.facts.device),
                };
                let mode = Mode::from_raw_mode(0o600);
                replacing(at, name, &path, || mknodat(at, name, kind, mode, device))?;
            }
        }
        let attributes = self.change.attributes(&item.facts, item.xattrs());
        let attributes = attributes.map_err(Error::file("read attributes of", absolute(&path)))?;
        let written = attributes.write(Place::Name(at, name));
        written.map_err(Error::file("write attributes of", absolute(&path)))
    }

    fn regular(&mut self, item: &Item<'_>, name: &[u8], path: Vec<u8>) -> Result<(), Error> {
        let refused = |what| Error::file(what, absolute(&path));
        let source = item.open().map_err(|error| error.on(&absolute(&path)))?;
        let at = self.top()?.directory.as_fd();
        let identity = source.facts.identity;
        if let Some(first) = identity.and_then(|identity| self.linked.get(&identity)) {
            let (above, first) = tree::split(first);
            let above = directory(self.root, above).map_err(refused("link"))?;
            let link = || linkat(&above, first, at, name, AtFlags::empty());
            return replacing(at, name, &path, link);
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = replacing(at, name, &path, || {
            openat(at, name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        let target = File::from(target);
        source
            .with(|part| {
                let copied = self.copier.copy(part, &target);
                copied.map_err(Error::file("write", absolute(&path)))
            })
            .map_err(|error| error.on(&absolute(&path)))?;
        let attributes = self.change.attributes(&source.facts, source.xattrs());
        let attributes = attributes.map_err(refused("read attributes of"))?;
        let written = attributes.write(Place::Open(target.as_fd()));
        written.map_err(refused("write attributes of"))?;
        if let Some(identity) = identity {
            self.linked.insert(identity, path);
        }
        Ok(())
    }
}

/// A directory of ours below the root, reached without links.
fn directory(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = match path {
        b"" => b".".as_slice(),
        path => path,
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags, Mode::empty(), resolve)
}

impl Visit for Placer<'_> {
    fn enter(&mut self, path: &[u8], directory: &Item<'_>) -> Result<(), Error> {
        let name = tree::split(path).1;
        let top = self.top()?;
        let path = tree::join(&top.path, name);
        let refused = |what| Error::file(what, absolute(&path));
        let at = top.directory.as_fd();
        match mkdirat(at, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there = target::kind(at, name).map_err(refused("stat"))?;
                if there != Some(FileType::Directory) {
                    return Err(Error::wrong(format!(
                        "cannot copy to non-directory: /{}",
                        tree::text(&path)
                    )));
                }
            }
            Err(errno) => return Err(refused("mkdir")(errno)),
        }
        let made = tree::directory(at, name).map_err(refused("open"))?;
        let attributes = self.change.attributes(&directory.facts, directory.xattrs());
        let attributes = attributes.map_err(refused("read attributes of"))?;
        self.open.push(Open {
            directory: made,
            path,
            end: End::Attributes(attributes),
        });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let done = match &open.end {
            End::Attributes(attributes) => attributes.write(Place::Open(open.directory.as_fd())),
            End::Time(time) => futimens(&open.directory, time),
        };
        done.map_err(Error::file("write attributes of", absolute(&open.path)))
    }

    fn file(&mut self, path: &[u8], item: &Item<'_>) -> Result<(), Error> {
        self.copy(item, tree::split(path).1)
    }
}
