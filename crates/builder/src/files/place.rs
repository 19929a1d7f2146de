//! Files into a root file system.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, Timestamps, fstat, futimens, linkat,
    mkdirat, mknodat, openat, openat2, readlinkat, symlinkat,
};
use rustix::io::Errno;

use super::attributes::{Attributes, Place, times, xattrs};
use super::chmod::Chmod;
use super::content::Copier;
use super::digest::open_file;
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
    fn attributes(&self, place: Place<'_>, status: &Stat) -> Result<Attributes, Errno> {
        let kind = FileType::from_raw_mode(status.st_mode);
        let mode = self
            .chmod
            .apply(status.st_mode, kind == FileType::Directory);
        Ok(Attributes {
            owner: self.owner.unwrap_or((status.st_uid, status.st_gid)),
            mode: (kind != FileType::Symlink).then_some(mode),
            time: times(status),
            xattrs: xattrs(place)?,
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

    /// Copies what is at `name` in `parent` to `as_name` in the directory that is open.
    pub(crate) fn copy(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        as_name: &[u8],
        status: &Stat,
    ) -> Result<(), Error> {
        let top = self.top()?;
        let path = tree::join(&top.path, as_name);
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind == FileType::RegularFile {
            return self.file(parent, name, as_name, path);
        }
        let at = top.directory.as_fd();
        match kind {
            FileType::Symlink => {
                let target = readlinkat(parent, name, Vec::new())
                    .map_err(Error::file("read link", absolute(&path)))?;
                replacing(at, as_name, &path, || symlinkat(&target, at, as_name))?;
            }
            kind => {
                // A socket means nothing without who listens: what is left of it is an empty file.
                let (kind, device) = match kind {
                    FileType::Socket => (FileType::RegularFile, 0),
                    FileType::Fifo => (FileType::Fifo, 0),
                    kind => (kind, status.st_rdev),
                };
                let mode = Mode::from_raw_mode(0o600);
                replacing(at, as_name, &path, || {
                    mknodat(at, as_name, kind, mode, device)
                })?;
            }
        }
        let attributes = self.change.attributes(Place::Name(parent, name), status);
        let attributes = attributes.map_err(Error::file("read attributes of", absolute(&path)))?;
        let written = attributes.write(Place::Name(at, as_name));
        written.map_err(Error::file("write attributes of", absolute(&path)))
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        as_name: &[u8],
        path: Vec<u8>,
    ) -> Result<(), Error> {
        let refused = |what| Error::file(what, absolute(&path));
        let (source, status) = match open_file(parent, name) {
            Ok(opened) => opened,
            Err(errno) => return Err(refused("read")(errno)),
        };
        let at = self.top()?.directory.as_fd();
        let key = (status.st_dev, status.st_ino);
        if status.st_nlink > 1
            && let Some(first) = self.linked.get(&key)
        {
            let (above, first) = tree::split(first);
            let above = directory(self.root, above).map_err(refused("link"))?;
            let link = || linkat(&above, first, at, as_name, AtFlags::empty());
            return replacing(at, as_name, &path, link);
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = replacing(at, as_name, &path, || {
            openat(at, as_name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        let target = File::from(target);
        self.copier
            .copy(&source, &target, &status)
            .map_err(Error::file("write", absolute(&path)))?;
        let attributes = self.change.attributes(Place::Open(source.as_fd()), &status);
        let attributes = attributes.map_err(refused("read attributes of"))?;
        let written = attributes.write(Place::Open(target.as_fd()));
        written.map_err(refused("write attributes of"))?;
        if status.st_nlink > 1 {
            self.linked.insert(key, path);
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
    fn enter(
        &mut self,
        path: &[u8],
        directory: BorrowedFd<'_>,
        status: &Stat,
    ) -> Result<(), Error> {
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
        let attributes = self.change.attributes(Place::Open(directory), status);
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

    fn file(
        &mut self,
        _: &[u8],
        parent: BorrowedFd<'_>,
        name: &[u8],
        status: &Stat,
    ) -> Result<(), Error> {
        self.copy(parent, name, name, status)
    }
}
