//! Paths inside the container's root: always below a descriptor, never by name on the host.
//!
//! A link in the image, however it is made, leads to a place inside the root (openat2 with `RESOLVE_IN_ROOT`), and links that
//! procfs makes up are never followed. What is returned is a descriptor, and callers go on with that.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// As many links as the kernel follows in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The root of a container, as a descriptor of its directory.
#[derive(Debug)]
pub(crate) struct Root {
    directory: OwnedFd,
}

/// What a mount target must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Directory,
    File,
}

/// Whether links in the path are followed (inside the root).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

impl Root {
    pub(crate) fn new(directory: OwnedFd) -> Self {
        Self { directory }
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens what is there, with `flags`.
    pub(crate) fn open(&self, path: &str, flags: OFlags, links: Links) -> io::Result<OwnedFd> {
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if links == Links::Refuse {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        // The kernel answers EAGAIN when a rename ran beside a ".." and it cannot be sure: ask again, but not for ever.
        for _ in 0..128 {
            match rustix::fs::openat2(
                &self.directory,
                path,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            ) {
                Err(Errno::AGAIN) => {}
                other => return Ok(other?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// Opens what is there as a bare location.
    pub(crate) fn locate(&self, path: &str, links: Links) -> io::Result<OwnedFd> {
        self.open(path, OFlags::PATH, links)
    }

    /// A descriptor of `path`, which is made with all its missing parents if it is not there: directories 0755, files 0644, empty.
    pub(crate) fn ensure(&self, path: &str, target: Target, links: Links) -> io::Result<OwnedFd> {
        let flags = match target {
            Target::Directory => OFlags::PATH | OFlags::DIRECTORY,
            Target::File => OFlags::PATH,
        };
        match self.open(path, flags, links) {
            Ok(found) => {
                if target == Target::File && kind_of(&found)? == FileType::Directory {
                    return Err(Errno::ISDIR.into());
                }
                Ok(found)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.walk(path, target, links),
            Err(error) => Err(error),
        }
    }

    /// Walks component by component, so that also the place where a dangling link points is made. Each step opens one name below
    /// a descriptor without following it; `..` takes back a step, never asks the kernel.
    fn walk(&self, path: &str, target: Target, links: Links) -> io::Result<OwnedFd> {
        let mut ahead: VecDeque<OsString> = names(Path::new(path)).collect();
        let mut behind: Vec<OwnedFd> = Vec::new();
        let mut followed = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                behind.pop();
                continue;
            }
            let here = behind
                .last()
                .map_or(self.directory.as_fd(), |directory| directory.as_fd());
            let wanted = if ahead.is_empty() {
                target
            } else {
                Target::Directory
            };
            let found = open_or_make(here, &name, wanted)?;
            match kind_of(&found)? {
                FileType::Symlink => {
                    followed += 1;
                    if links == Links::Refuse || followed > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let text = rustix::fs::readlinkat(&found, "", Vec::new())?;
                    let text = Path::new(OsStr::from_bytes(text.to_bytes())).to_owned();
                    if text.is_absolute() {
                        behind.clear();
                    }
                    for name in names(&text).collect::<Vec<_>>().into_iter().rev() {
                        ahead.push_front(name);
                    }
                }
                FileType::Directory => behind.push(found),
                _ if ahead.is_empty() && target == Target::File => return Ok(found),
                _ => return Err(Errno::NOTDIR.into()),
            }
        }
        match (behind.pop(), target) {
            (Some(directory), Target::Directory) => Ok(directory),
            (None, Target::Directory) => self.locate("/", Links::Refuse),
            (_, Target::File) => Err(Errno::ISDIR.into()),
        }
    }
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn open_or_make(here: BorrowedFd<'_>, name: &OsStr, wanted: Target) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Twice: what we make may have been made by another in between, and is then opened as it is.
    for _ in 0..2 {
        match rustix::fs::openat(here, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            other => return Ok(other?),
        }
        let made = match wanted {
            Target::Directory => rustix::fs::mkdirat(here, name, Mode::from_raw_mode(0o755)),
            Target::File => rustix::fs::openat(
                here,
                name,
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::from_raw_mode(0o644),
            )
            .map(drop),
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(rustix::fs::openat(here, name, flags, Mode::empty())?)
}

/// What kind of file a descriptor is of.
pub(crate) fn kind_of(file: impl AsFd) -> io::Result<FileType> {
    let stat = rustix::fs::statat(file, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Tree {
        base: std::path::PathBuf,
    }

    impl Tree {
        fn new(name: &str) -> Self {
            let base =
                std::env::temp_dir().join(format!("onggi-root-{}-{name}", std::process::id()));
            std::fs::create_dir_all(base.join("root")).expect("can make a directory");
            std::fs::create_dir_all(base.join("outside")).expect("can make a directory");
            Self { base }
        }

        fn inside(&self, path: &str) -> std::path::PathBuf {
            self.base.join("root").join(path)
        }

        fn root(&self) -> Root {
            let directory = std::fs::File::open(self.base.join("root")).expect("is there");
            Root::new(directory.into())
        }

        fn untouched(&self) -> bool {
            std::fs::read_dir(self.base.join("outside"))
                .expect("is there")
                .next()
                .is_none()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.base);
        }
    }

    #[test]
    fn missing_parents_are_made() {
        let tree = Tree::new("parents");
        let root = tree.root();
        root.ensure("/a/b/c", Target::Directory, Links::Follow)
            .expect("makes directories");
        root.ensure("/a/b/f", Target::File, Links::Follow)
            .expect("makes a file");
        assert!(tree.inside("a/b/c").is_dir());
        assert!(tree.inside("a/b/f").is_file());
    }

    #[test]
    fn links_out_of_the_root_lead_into_it() {
        let tree = Tree::new("links");
        let outside = tree.base.join("outside");
        symlink(&outside, tree.inside("absolute")).expect("links");
        symlink("../outside", tree.inside("relative")).expect("links");
        symlink("../../../../../../../../etc", tree.inside("climb")).expect("links");
        let root = tree.root();
        for path in ["/absolute/x", "/relative/y", "/climb/z", "/../../q"] {
            root.ensure(path, Target::Directory, Links::Follow)
                .expect("makes it inside");
        }
        assert!(tree.untouched());
        assert!(tree.inside("etc/z").is_dir());
        assert!(tree.inside("outside/y").is_dir());
        assert!(tree.inside("q").is_dir());
    }

    #[test]
    fn a_dangling_link_makes_what_it_points_to() {
        let tree = Tree::new("dangling");
        std::fs::create_dir(tree.inside("etc")).expect("makes");
        symlink(
            "../run/systemd/resolve/stub",
            tree.inside("etc/resolv.conf"),
        )
        .expect("links");
        let root = tree.root();
        root.ensure("/etc/resolv.conf", Target::File, Links::Follow)
            .expect("makes the file");
        assert!(tree.inside("run/systemd/resolve/stub").is_file());
    }

    #[test]
    fn links_are_refused_where_asked_and_loops_end() {
        let tree = Tree::new("refused");
        symlink("loop", tree.inside("loop")).expect("links");
        symlink("elsewhere", tree.inside("proc")).expect("links");
        let root = tree.root();
        assert!(
            root.ensure("/proc", Target::Directory, Links::Refuse)
                .is_err()
        );
        assert!(!tree.inside("elsewhere").exists());
        assert!(
            root.ensure("/loop/x", Target::Directory, Links::Follow)
                .is_err()
        );
    }

    #[test]
    fn kinds_do_not_mix() {
        let tree = Tree::new("kinds");
        std::fs::write(tree.inside("file"), "x").expect("writes");
        let root = tree.root();
        assert!(
            root.ensure("/file", Target::Directory, Links::Follow)
                .is_err()
        );
        assert!(root.ensure("/", Target::File, Links::Follow).is_err());
        assert!(
            root.ensure("/file/below", Target::File, Links::Follow)
                .is_err()
        );
    }
}
