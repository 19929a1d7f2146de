//! `diff`: what a container changed, by what overlayfs has in its writable layer.
//!
//! Both trees are walked at once, by descriptors: the writable layer and the image below it. A directory that only
//! holds changes is told as changed, as Docker tells it; what was made to mount the system's own files onto is not
//! the container's change.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use onggi_api::container::FilesystemChange;
use onggi_snapshot::Rootfs;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fgetxattr, openat, statat};
use rustix::io::Errno;

use super::place;
use super::view::{Stopped, View, no_record};
use crate::Engine;
use crate::error::{Error, Result};

/// What a start makes in an image that lacks it; Docker has these in a layer that it never shows.
pub(crate) const OWN: [&[u8]; 12] = [
    b".dockerenv",
    b"dev",
    b"dev/console",
    b"dev/mqueue",
    b"dev/pts",
    b"dev/shm",
    b"etc/hostname",
    b"etc/hosts",
    b"etc/mtab",
    b"etc/resolv.conf",
    b"proc",
    b"sys",
];

const CHANGED: u8 = 0;
const ADDED: u8 = 1;
const DELETED: u8 = 2;

impl Engine {
    /// What a container changed in its root file system, sorted by path.
    ///
    /// # Errors
    /// `NotFound`; `NotImplemented` where the storage driver keeps no record.
    pub async fn container_changes(&self, id: &str) -> Result<Vec<FilesystemChange>> {
        let (engine, container) = (self.clone(), self.inner.containers.find(id)?);
        onggi_rt::blocking("compare a container with its image", move || {
            let layers = engine.layers(&container.record())?;
            let walk = || -> Result<Vec<FilesystemChange>, Errno> {
                let mut walk = Walk::default();
                walk.directory(b"", layers.upper.as_fd(), Some(layers.lower()))?;
                Ok(walk.changes)
            };
            walk().map_err(|e| Error::io("compare a container with its image", e))
        })
        .await?
    }

    /// The writable layer of a container and the image below.
    pub(crate) fn layers(&self, record: &super::Record) -> Result<Layers> {
        let rootfs = self.inner.snapshots.rootfs(&record.id)?;
        let Rootfs::Overlay { upper, .. } = &rootfs else {
            return Err(no_record());
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let upper = openat(CWD, upper, flags, Mode::empty())
            .map_err(|e| Error::io("open the container's layer", e))?;
        let place: PathBuf = self.inner.snapshots.container_path(&record.id);
        let view = View::below(Stopped::of(rootfs, place))?;
        let lower = place::listable(view.root()).map_err(|e| Error::io("open the image", e))?;
        Ok(Layers {
            upper,
            lower,
            _view: view,
        })
    }
}

/// The writable layer of a container and the image below.
pub(crate) struct Layers {
    pub(crate) upper: OwnedFd,
    lower: OwnedFd,
    _view: View,
}

impl Layers {
    /// The image's root.
    pub(crate) fn lower(&self) -> BorrowedFd<'_> {
        self.lower.as_fd()
    }

    /// Those of [`OWN`] that the image does not have: nothing of the container's.
    pub(crate) fn own(&self) -> Vec<Vec<u8>> {
        let missing = |path: &[u8]| {
            place::open(self.lower(), path, OFlags::PATH | OFlags::NOFOLLOW)
                .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        };
        let own = OWN.iter().filter(|path| missing(path));
        let mut own: Vec<Vec<u8>> = own.map(|path| path.to_vec()).collect();
        self.with_parents(&mut own, &[b"dev".to_vec(), b"etc".to_vec()]);
        own
    }

    /// As [`Layers::own`], with what was made to mount things onto at these paths.
    pub(crate) fn own_and(&self, targets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut own = self.own();
        let mut parents: Vec<Vec<u8>> = Vec::new();
        for target in targets {
            let mut path = target.as_slice();
            if place::open(self.lower(), path, OFlags::PATH | OFlags::NOFOLLOW).is_err() {
                own.push(path.to_vec());
            }
            while let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
                path = &path[..slash];
                parents.push(path.to_vec());
            }
        }
        // The deepest first: what holds nothing but those is for nothing else either.
        parents.sort_by_key(|path| std::cmp::Reverse(path.len()));
        parents.dedup();
        self.with_parents(&mut own, &parents);
        own
    }

    /// Adds those of `parents` that are there for nothing else.
    fn with_parents(&self, own: &mut Vec<Vec<u8>>, parents: &[Vec<u8>]) {
        for parent in parents {
            if self.holds_only(parent, own).unwrap_or(false) {
                own.push(parent.clone());
            }
        }
    }

    /// Whether a directory of the container has nothing but these paths in it, and is else as the image has it.
    fn holds_only(&self, parent: &[u8], paths: &[Vec<u8>]) -> Result<bool, Errno> {
        let upper = open(self.upper.as_fd(), parent)?;
        let all = !is_opaque(upper.as_fd())?
            && names(upper.as_fd())?
                .iter()
                .all(|name| paths.contains(&[parent, b"/", name].concat()));
        let status = statat(&self.upper, parent, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(all
            && match statat(self.lower(), parent, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(below) => !differs(&status, &below),
                Err(Errno::NOENT) => true,
                Err(errno) => return Err(errno),
            })
    }
}

#[derive(Default)]
struct Walk {
    changes: Vec<FilesystemChange>,
}

impl Walk {
    /// Compares what `upper` has with `lower`, which is nothing where the image has no directory here. Depth is
    /// bounded by the longest path, and by the descriptors of this process.
    fn directory(
        &mut self,
        path: &[u8],
        upper: BorrowedFd<'_>,
        lower: Option<BorrowedFd<'_>>,
    ) -> Result<(), Errno> {
        let names = names(upper)?;
        for name in &names {
            let path = match path.is_empty() {
                true => name.clone(),
                false => [path, b"/", name].concat(),
            };
            let status = match statat(upper, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => status,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            };
            let below = match lower {
                None => None,
                Some(lower) => match statat(lower, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(below) => Some(below),
                    Err(Errno::NOENT) => None,
                    Err(errno) => return Err(errno),
                },
            };
            self.entry(&path, name, upper, &status, lower, below.as_ref())?;
        }
        if let Some(lower) = lower
            && is_opaque(upper)?
        {
            for name in self::names(lower)? {
                if names.binary_search(&name).is_err() {
                    self.push(&[path, b"/", &name].concat(), DELETED);
                }
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &[u8],
        name: &[u8],
        upper: BorrowedFd<'_>,
        status: &Stat,
        lower: Option<BorrowedFd<'_>>,
        below: Option<&Stat>,
    ) -> Result<(), Errno> {
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind == FileType::CharacterDevice && status.st_rdev == 0 {
            if below.is_some() {
                self.push(path, DELETED);
            }
            return Ok(());
        }
        let at = self.changes.len();
        if kind == FileType::Directory {
            let directory = match open(upper, name) {
                Ok(directory) => directory,
                // It changed into something else meanwhile.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
                Err(errno) => return Err(errno),
            };
            let same = below.filter(|below| is_directory(below)).and(lower);
            let same = same.map(|lower| open(lower, name)).transpose()?;
            self.directory(path, directory.as_fd(), same.as_ref().map(AsFd::as_fd))?;
        }
        let holds_changes = self.changes.len() > at;
        let told = match below {
            None if OWN.contains(&path) && !holds_changes => None,
            // Only there for what is mounted below it.
            None if path == b"etc" && !holds_changes => None,
            None => Some(ADDED),
            Some(below) if holds_changes || differs(status, below) => Some(CHANGED),
            Some(_) => None,
        };
        if let Some(kind) = told {
            let change = change(path, kind);
            self.changes.insert(at, change);
        }
        Ok(())
    }

    fn push(&mut self, path: &[u8], kind: u8) {
        self.changes.push(change(path, kind));
    }
}

fn change(path: &[u8], kind: u8) -> FilesystemChange {
    let path = String::from_utf8_lossy(path);
    FilesystemChange {
        path: format!("/{}", path.trim_start_matches('/')),
        kind,
    }
}

/// Whether a file is another one than the image's. Size and time of a directory say little about it.
fn differs(one: &Stat, other: &Stat) -> bool {
    let owner = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    let content = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    owner(one) != owner(other) || !is_directory(one) && content(one) != content(other)
}

fn is_directory(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::Directory
}

fn is_opaque(directory: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut value = [0; 4];
    match fgetxattr(directory, "trusted.overlay.opaque", value.as_mut_slice()) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn open(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// The names in a directory, sorted.
fn names(directory: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names)
}
