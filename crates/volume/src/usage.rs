//! How much a volume holds, file by file.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::{Error, Result};

/// Levels of a tree that are held open at once; what lies deeper is not counted.
const DEPTH: usize = 512;

/// A directory on the way down, with those in it that are still to be looked into.
struct Level {
    directory: OwnedFd,
    rest: Vec<CString>,
}

/// Bytes of the files and links below `path`; one with several names counts once. What vanishes meanwhile counts nothing.
/// Containers may be changing all of it: no name is followed.
pub(crate) fn of(path: &Path) -> Result<u64> {
    measure(path).map_err(Error::file("measure", path))
}

/// As [`of`] each of them. Most of the time goes into waiting for the disk: a few threads share the paths.
pub(crate) fn of_several(paths: &[PathBuf]) -> Vec<Result<u64>> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().clamp(2, 8));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut measured = Vec::new();
        while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < paths.len())
        {
            measured.push((at, of(&paths[at])));
        }
        measured
    };
    let mut all: Vec<(usize, Result<u64>)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(paths.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_default());
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, measured)| measured).collect()
}

fn measure(path: &Path) -> Result<u64, Errno> {
    let mut sum = Sum::default();
    let mut levels = vec![sum.add(open(CWD, path)?)?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.rest.pop() else {
            levels.pop();
            continue;
        };
        match open(level.directory.as_fd(), name.as_c_str()) {
            Ok(child) if levels.len() < DEPTH => levels.push(sum.add(child)?),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(sum.bytes)
}

#[derive(Default)]
struct Sum {
    bytes: u64,
    /// Files with several names that were counted.
    linked: HashSet<(u64, u64)>,
}

impl Sum {
    /// Counts the files of a directory.
    fn add(&mut self, directory: OwnedFd) -> Result<Level, Errno> {
        let mut rest = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let status = match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => status,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            };
            match FileType::from_raw_mode(status.st_mode) {
                FileType::Directory => rest.push(name.to_owned()),
                // Links, too, as Docker counts.
                _ if status.st_nlink < 2 || self.linked.insert((status.st_dev, status.st_ino)) => {
                    let size = u64::try_from(status.st_size).unwrap_or(0);
                    self.bytes = self.bytes.saturating_add(size);
                }
                _ => {}
            }
        }
        Ok(Level { directory, rest })
    }
}

pub(crate) fn open(
    at: BorrowedFd<'_>,
    path: impl rustix::path::Arg,
) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(at, path, flags, Mode::empty())
}
