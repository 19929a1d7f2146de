//! How much a volume holds, file by file.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use crate::{Error, Result};

/// Directories that are held open at once; those above them are found again by `..`.
const OPEN: usize = 256;
/// How often a tree is measured anew that somebody turns over meanwhile.
const TRIES: usize = 8;

/// A directory on the way down, with those in it that are still to be looked into.
struct Level {
    handle: Handle,
    rest: Vec<CString>,
}

enum Handle {
    Open(OwnedFd),
    /// Its device and number.
    Closed(u64, u64),
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
    for _ in 0..TRIES {
        match measure_once(path) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::BUSY)
}

fn measure_once(path: &Path) -> Result<u64, Errno> {
    let mut sum = Sum::default();
    let mut levels = vec![sum.add(open(CWD, path)?)?];
    while let Some(level) = levels.last_mut() {
        let Handle::Open(directory) = &level.handle else {
            return Err(Errno::AGAIN);
        };
        let Some(name) = level.rest.pop() else {
            let done = levels.pop();
            if let (Some(done), Some(above)) = (done, levels.last_mut()) {
                above.open_again(&done)?;
            }
            continue;
        };
        match open(directory.as_fd(), name.as_c_str()) {
            Ok(child) => levels.push(sum.add(child)?),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(errno),
        }
        if let Some(far) = levels.len().checked_sub(OPEN + 1) {
            levels[far].close()?;
        }
    }
    Ok(sum.bytes)
}

impl Level {
    fn close(&mut self) -> Result<(), Errno> {
        if let Handle::Open(directory) = &self.handle {
            let status = fstat(directory)?;
            self.handle = Handle::Closed(status.st_dev, status.st_ino);
        }
        Ok(())
    }

    /// Goes back up from a directory in it. One that was moved away meanwhile leads elsewhere: that is no way.
    fn open_again(&mut self, below: &Self) -> Result<(), Errno> {
        let (Handle::Closed(device, number), Handle::Open(below)) = (&self.handle, &below.handle)
        else {
            return Ok(());
        };
        let above = open(below.as_fd(), c"..")?;
        let status = fstat(&above)?;
        if (status.st_dev, status.st_ino) != (*device, *number) {
            return Err(Errno::AGAIN);
        }
        self.handle = Handle::Open(above);
        Ok(())
    }
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
        Ok(Level {
            handle: Handle::Open(directory),
            rest,
        })
    }
}

pub(crate) fn open(
    at: BorrowedFd<'_>,
    path: impl rustix::path::Arg,
) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(at, path, flags, Mode::empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn depth_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut here = open(CWD, folder.path()).unwrap();
        // Deeper than a path may be long, and than what is held open, with a file in each.
        for number in 0..600_u32 {
            let flags = OFlags::CREATE | OFlags::WRONLY;
            let file = openat(&here, "file", flags, Mode::from_raw_mode(0o644)).unwrap();
            rustix::io::write(&file, &[7; 3]).unwrap();
            for name in ["a", "deeper"] {
                mkdirat(&here, name, Mode::from_raw_mode(0o755)).unwrap();
            }
            if number % 200 == 0 {
                let beside = open(here.as_fd(), "a").unwrap();
                let file = openat(&beside, "file", flags, Mode::from_raw_mode(0o644)).unwrap();
                rustix::io::write(&file, &[7; 5]).unwrap();
            }
            here = open(here.as_fd(), "deeper").unwrap();
        }
        assert_eq!(of(folder.path()).unwrap(), 600 * 3 + 3 * 5);
    }
}
