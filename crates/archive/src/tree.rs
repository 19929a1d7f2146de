//! Walking names below a root by descriptors of our own.
//!
//! Every directory is opened as one component below another open one, or by one `openat2` that refuses symbolic links.
//! Links are read and followed here, as if the root were `/`, so that neither `..` nor an absolute target leads out, and
//! nothing that moves meanwhile can make it so.

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, futimens, mkdirat,
    openat, openat2, readlinkat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::header::Time;
use crate::{Error, Whiteouts, kernel};

/// Links followed for one name, as the kernel counts them.
const MAX_LINKS: usize = 40;
/// The longest name the kernel takes, with its NUL.
pub(crate) const MAX_PATH: usize = 4096;

/// Directories that are remembered beside those that are open: how they were made, and their times. Beyond, it is asked
/// again what can be asked.
const MOST_KNOWN: usize = 8_192;
/// Directories of which something must be remembered to the end.
pub(crate) const MOST_HELD: u64 = 250_000;

/// What a missing directory on the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Made, and noted as implied.
    Make,
    /// An error.
    Refuse,
}

/// An open directory below the root.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// The name it was asked by.
    asked: Vec<u8>,
    /// Its name without links.
    pub(crate) path: Vec<u8>,
    pub(crate) directory: Rc<OwnedFd>,
    /// What is made here inherits nothing (group, access list) from the directory.
    pub(crate) plain: bool,
}

/// The tree below a root, with the directories of the last name kept open.
#[derive(Debug)]
pub(crate) struct Tree {
    /// From the root down, each asked for by a longer name than the one before.
    open: Vec<Open>,
    /// Times that directories get when they are left.
    times: HashMap<Vec<u8>, Time>,
    /// Directories that were made because a name needed them, and no entry spoke of.
    implied: HashSet<Vec<u8>>,
    /// Directories this tree made itself, or some of them.
    made: HashSet<Vec<u8>>,
    /// Times have been forgotten: a directory that is entered again keeps the one it has.
    forgot: bool,
    /// Whether a character device 0:0 in the way is a removal, which gives way.
    whiteouts: Whiteouts,
    /// The root's device, where nothing may be written to file systems that show the kernel.
    spare: Option<u64>,
}

impl Tree {
    pub(crate) fn new(root: BorrowedFd<'_>, whiteouts: Whiteouts) -> Result<Tree, Error> {
        let directory = openat(root, ".", directory_flags(), Mode::empty())
            .map_err(Error::file("open", b"."))?;
        let root = Open {
            asked: Vec::new(),
            path: Vec::new(),
            directory: Rc::new(directory),
            plain: false,
        };
        Ok(Tree {
            open: vec![root],
            times: HashMap::new(),
            implied: HashSet::new(),
            made: HashSet::new(),
            forgot: false,
            whiteouts,
            spare: None,
        })
    }

    /// The root is empty and inherits nothing.
    pub(crate) fn root_is_plain(&mut self) {
        if let Some(root) = self.open.first_mut() {
            root.plain = true;
        }
    }

    /// From now on directories of file systems that show the kernel are refused.
    pub(crate) fn spare_the_kernel(&mut self) {
        let device = self
            .open
            .first()
            .and_then(|root| rustix::fs::fstat(&*root.directory).ok())
            .map(|status| status.st_dev);
        // A root that cannot be looked at has no device: every directory is checked.
        self.spare = Some(device.unwrap_or(u64::MAX));
    }

    /// The root itself.
    pub(crate) fn root(&mut self) -> Result<Open, Error> {
        self.directory(b"", Missing::Refuse)
    }

    /// The directory at `path`, which is clean: no empty component, no `.` or `..`, no slash at either end.
    pub(crate) fn directory(&mut self, path: &[u8], missing: Missing) -> Result<Open, Error> {
        while let [.., top] = &self.open[..]
            && self.open.len() > 1
            && !contains(&top.asked, path)
        {
            self.leave()?;
        }
        let Some(top) = self.open.last() else {
            return Err(Error::file("open", path)(Errno::BADF));
        };
        if top.asked == path {
            return Ok(top.clone());
        }
        let rest = match top.asked.is_empty() {
            true => path,
            false => &path[top.asked.len() + 1..],
        };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = directory_flags();
        let found = match openat2(&*top.directory, rest, flags, Mode::empty(), resolve) {
            Ok(directory) => {
                let path = join(&top.path, rest);
                let plain = self.made.contains(&path);
                Open {
                    asked: Vec::new(),
                    path,
                    directory: Rc::new(directory),
                    plain,
                }
            }
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => self.walk(path, missing)?,
            Err(errno) => return Err(Error::file("open", path)(errno)),
        };
        if let Some(device) = self.spare {
            let at = found.directory.as_fd();
            let status = rustix::fs::fstat(at).map_err(Error::file("stat", path))?;
            if status.st_dev != device && kernel::shows_the_kernel(at) {
                return Err(Error::name(
                    path,
                    "it lies in a file system that shows the kernel",
                ));
            }
        }
        let found = Open {
            asked: path.to_vec(),
            ..found
        };
        // In a tree where others live, a directory that the archive does not name changes as it does for them.
        if self.forgot && self.spare.is_none() && !self.implied.contains(&found.path) {
            let status = rustix::fs::fstat(&*found.directory).map_err(Error::file("stat", path))?;
            let time = Time {
                seconds: status.st_mtime,
                nanoseconds: status.st_mtime_nsec as u32,
            };
            self.times.entry(found.path.clone()).or_insert(time);
        }
        self.open.push(found.clone());
        Ok(found)
    }

    /// Component by component from the root, following links.
    fn walk(&mut self, path: &[u8], missing: Missing) -> Result<Open, Error> {
        let mut queue: VecDeque<Vec<u8>> = components(path).map(<[u8]>::to_vec).collect();
        let mut stack: Vec<Open> = self.open.first().cloned().into_iter().collect();
        let mut links = 0;
        while let Some(name) = queue.pop_front() {
            if name == b".." {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            let Some(parent) = stack.last() else { break };
            let here = join(&parent.path, &name);
            // Links could lead on and on, with a descriptor for each level.
            if here.len() >= MAX_PATH {
                return Err(Error::name(path, "too long with its links followed"));
            }
            let at = parent.directory.as_fd();
            let directory = match openat(at, name.as_slice(), directory_flags(), Mode::empty()) {
                Ok(directory) => directory,
                Err(Errno::NOENT) if missing == Missing::Make => {
                    self.make(at, &name, &here)?;
                    openat(at, name.as_slice(), directory_flags(), Mode::empty())
                        .map_err(Error::file("open", &here))?
                }
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    match readlinkat(at, name.as_slice(), Vec::new()) {
                        Ok(target) => {
                            links += 1;
                            let target = target.as_bytes();
                            if links > MAX_LINKS || target.len() >= MAX_PATH {
                                return Err(Error::file("open", path)(Errno::LOOP));
                            }
                            if target.starts_with(b"/") {
                                stack.truncate(1);
                            }
                            for part in components(target).rev() {
                                queue.push_front(part.to_vec());
                            }
                            continue;
                        }
                        Err(Errno::INVAL)
                            if missing == Missing::Make
                                && self.whiteouts == Whiteouts::Overlay
                                && is_whiteout(at, &name)? =>
                        {
                            unlinkat(at, name.as_slice(), AtFlags::empty())
                                .map_err(Error::file("replace", &here))?;
                            self.make(at, &name, &here)?;
                            let directory =
                                openat(at, name.as_slice(), directory_flags(), Mode::empty())
                                    .map_err(Error::file("open", &here))?;
                            set_opaque(directory.as_fd())
                                .map_err(Error::file("hide below", &here))?;
                            directory
                        }
                        Err(Errno::INVAL) => return Err(Error::file("open", &here)(Errno::NOTDIR)),
                        Err(errno) => return Err(Error::file("read link", &here)(errno)),
                    }
                }
                Err(errno) => return Err(Error::file("open", &here)(errno)),
            };
            let plain = self.made.contains(&here);
            stack.push(Open {
                asked: Vec::new(),
                path: here,
                directory: Rc::new(directory),
                plain,
            });
        }
        stack
            .pop()
            .ok_or_else(|| Error::file("open", path)(Errno::BADF))
    }

    fn make(&mut self, at: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<(), Error> {
        let mode = Mode::from_raw_mode(0o755);
        mkdirat(at, name, mode)
            .and_then(|()| rustix::fs::chmodat(at, name, mode, AtFlags::empty()))
            .map_err(Error::file("mkdir", path))?;
        if self.implied.len() as u64 >= MOST_HELD {
            return Err(Error::TooLarge {
                what: "directories without an entry",
                limit: MOST_HELD,
            });
        }
        self.implied.insert(path.to_vec());
        self.remember(path);
        Ok(())
    }

    fn remember(&mut self, path: &[u8]) {
        if self.made.len() >= MOST_KNOWN {
            self.made.clear();
        }
        self.made.insert(path.to_vec());
    }

    /// An entry spoke of the directory at `path`, which was made here and inherits nothing to what is in it.
    pub(crate) fn made(&mut self, path: &[u8]) {
        self.implied.remove(path);
        self.remember(path);
    }

    /// An entry spoke of the directory at `path`, which was there.
    pub(crate) fn named(&mut self, path: &[u8]) {
        self.implied.remove(path);
    }

    /// The directory at `path` gets this time when it is left.
    pub(crate) fn set_time(&mut self, path: &[u8], time: Time) {
        if self.times.len() >= MOST_KNOWN && !self.times.contains_key(path) {
            let Self { times, open, .. } = self;
            times.retain(|path, _| open.iter().any(|open| open.path == *path));
            self.forgot = true;
        }
        self.times.insert(path.to_vec(), time);
    }

    /// Forgets what is open, because names may mean something else now; also at the end.
    pub(crate) fn reset(&mut self) -> Result<(), Error> {
        while self.open.len() > 1 {
            self.leave()?;
        }
        let Some(root) = self.open.first() else {
            return Ok(());
        };
        match self.times.get(&root.path) {
            Some(time) => futimens(&*root.directory, &timestamps(*time))
                .map_err(Error::file("set time of", b".")),
            None => Ok(()),
        }
    }

    fn leave(&mut self) -> Result<(), Error> {
        let Some(left) = self.open.pop() else {
            return Ok(());
        };
        match self.times.get(&left.path) {
            Some(time) => futimens(&*left.directory, &timestamps(*time))
                .map_err(Error::file("set time of", &left.path)),
            None => Ok(()),
        }
    }

    /// Directories that were made because a name needed them, and that no entry spoke of.
    pub(crate) fn into_implied(self) -> Vec<Vec<u8>> {
        let mut implied: Vec<Vec<u8>> = self.implied.into_iter().collect();
        implied.sort();
        implied
    }
}

/// Removes what is at `name`, with all below it. Says whether it was a directory or a link, which other names may have
/// led through.
pub(crate) fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return other,
    }
    // As deep as names in an archive can be: MAX_PATH / 2 levels.
    let mut levels = vec![(open(parent, name)?, name.to_vec())];
    while let Some((directory, _)) = levels.last() {
        let mut child = None;
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            match unlinkat(directory, name, AtFlags::empty()) {
                Ok(()) => {}
                Err(Errno::ISDIR | Errno::PERM) => {
                    child = Some((open(directory.as_fd(), name)?, name.to_vec()));
                    break;
                }
                Err(errno) => return Err(errno),
            }
        }
        if let Some(child) = child {
            levels.push(child);
        } else if let Some((_, name)) = levels.pop() {
            let parent = levels
                .last()
                .map_or(parent, |(directory, _)| directory.as_fd());
            unlinkat(parent, name.as_slice(), AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

/// The cleaned form of a name in an archive: below the root, without `.`, `..` and needless slashes; empty for the root.
///
/// # Errors
/// [`Error::Name`]: it leads out of the root, or is too long.
pub fn clean(path: &[u8]) -> Result<Vec<u8>, Error> {
    if path.len() >= MAX_PATH {
        return Err(Error::name(path, "too long"));
    }
    let mut clean: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if clean.pop().is_none() {
                    return Err(Error::name(path, "it leads out of the root"));
                }
            }
            part => clean.push(part),
        }
    }
    Ok(clean.join(&b'/'))
}

/// Parent and last component of a clean name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    match parent.is_empty() {
        true => name.to_vec(),
        false => [parent, b"/", name].concat(),
    }
}

/// Whether overlayfs takes it for a removal.
pub(crate) fn is_whiteout(parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Error> {
    let status =
        statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::file("stat", name))?;
    Ok(FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice && status.st_rdev == 0)
}

/// Hides everything in the layers below at the place of this directory.
pub(crate) fn set_opaque(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::fsetxattr(directory, "trusted.overlay.opaque", b"y", flags)
}

pub(crate) fn timestamps(time: Time) -> Timestamps {
    let time = Timespec {
        tv_sec: time.seconds,
        tv_nsec: i64::from(time.nanoseconds),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

pub(crate) fn open(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(parent, name, directory_flags(), Mode::empty())
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
}

/// Whether `path` is `directory` or lies below it.
fn contains(directory: &[u8], path: &[u8]) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => directory.is_empty() || rest.is_empty() || rest.starts_with(b"/"),
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_or_refused() {
        for (path, expected) in [
            (&b"a/b"[..], &b"a/b"[..]),
            (b"./a//b/", b"a/b"),
            (b"/etc/passwd", b"etc/passwd"),
            (b"a/../b", b"b"),
            (b"./", b""),
            (b"a/..", b""),
        ] {
            assert_eq!(clean(path).unwrap(), expected);
        }
        for path in [
            &b".."[..],
            b"../a",
            b"a/../../b",
            b"/..",
            &b"x".repeat(MAX_PATH),
        ] {
            assert!(matches!(clean(path), Err(Error::Name { .. })), "{path:?}");
        }
        assert!(contains(b"", b"a") && contains(b"a", b"a/b") && contains(b"a", b"a"));
        assert!(!contains(b"a", b"ab") && !contains(b"a/b", b"a"));
    }
}
