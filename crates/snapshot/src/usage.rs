//! How much a directory holds, file by file.

use std::collections::HashSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, statat};
use rustix::io::Errno;

use crate::Error;
use crate::inherit::open;

/// Bytes of the regular files and symbolic links below `path`; one with several names counts once. What vanishes meanwhile counts nothing.
pub(crate) fn of(path: &Path) -> Result<u64, Error> {
    let measure = || -> Result<u64, Errno> {
        let mut total = 0;
        let mut linked = HashSet::new();
        let mut waiting: Vec<OwnedFd> = vec![open(CWD, path)?];
        while let Some(directory) = waiting.pop() {
            for entry in Dir::read_from(&directory)? {
                let entry = entry?;
                let name = entry.file_name();
                match entry.file_type() {
                    FileType::Directory if matches!(name.to_bytes(), b"." | b"..") => {}
                    FileType::Directory => match open(directory.as_fd(), name) {
                        Ok(child) => waiting.push(child),
                        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                        Err(errno) => return Err(errno),
                    },
                    FileType::RegularFile | FileType::Symlink => {
                        match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                            Ok(status) if status.st_nlink > 1 && !linked.insert(status.st_ino) => {}
                            Ok(status) => total += u64::try_from(status.st_size).unwrap_or(0),
                            Err(Errno::NOENT) => {}
                            Err(errno) => return Err(errno),
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(total)
    };
    measure().map_err(Error::file("measure", path))
}
