//! A directory of control files, held open: reads and writes go by descriptor, never by a path that may change.

use crate::{Error, Result};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An open directory of a hierarchy.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW);

impl Dir {
    /// Opens a directory by its path on the host.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fd = rustix::fs::open(path, DIRECTORY - OFlags::NOFOLLOW, Mode::empty())
            .map_err(|e| Error::file("open", path, e))?;
        Ok(Self {
            fd,
            path: path.to_path_buf(),
        })
    }

    /// Opens a directory inside this one; `None` when there is none.
    pub(crate) fn child(&self, name: &str) -> Result<Option<Self>> {
        let path = self.path.join(name);
        match rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::file("open", &path, e)),
        }
    }

    /// Makes a directory inside this one and opens it; tells whether it is new.
    pub(crate) fn make(&self, name: &str) -> Result<(Self, bool)> {
        let path = self.path.join(name);
        let new = match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(e) => return Err(Error::file("mkdir", &path, e)),
        };
        match self.child(name)? {
            Some(dir) => Ok((dir, new)),
            None => Err(Error::file("open", &path, Errno::NOENT)),
        }
    }

    /// Names of the directories inside this one.
    pub(crate) fn children(&self) -> Result<Vec<String>> {
        let list = || -> rustix::io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&self.fd)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy();
                if entry.file_type() == rustix::fs::FileType::Directory
                    && name != "."
                    && name != ".."
                {
                    names.push(name.into_owned());
                }
            }
            Ok(names)
        };
        match list() {
            // The group was removed under us: then it has no children.
            Err(Errno::NOENT | Errno::NODEV) => Ok(Vec::new()),
            other => other.map_err(|e| Error::file("list", &self.path, e)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        rustix::fs::accessat(&self.fd, file, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
    }

    /// A file, for reading.
    pub(crate) fn open_file(&self, file: &str) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, file, flags, Mode::empty())
            .map_err(|e| Error::file("read", &self.path.join(file), e))
    }

    /// The whole file as text.
    pub(crate) fn read(&self, file: &str) -> Result<String> {
        let path = || self.path.join(file);
        let fd = self.open_file(file)?;
        // Control files have no size to ask for first, and most have one line.
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut buffer)) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) => return Err(Error::file("read", &path(), error)),
            }
        }
        String::from_utf8(bytes).map_err(|_| {
            let invalid = std::io::Error::from(std::io::ErrorKind::InvalidData);
            Error::file("read", &path(), invalid)
        })
    }

    /// The whole file as text; `None` when the kernel has no such file or the group is gone.
    pub(crate) fn read_if_there(&self, file: &str) -> Result<Option<String>> {
        match self.read(file) {
            Ok(text) => Ok(Some(text)),
            Err(e) if is_gone(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A file that holds one number; `max` reads as `u64::MAX`.
    pub(crate) fn number(&self, file: &str) -> Result<Option<u64>> {
        Ok(self
            .read_if_there(file)?
            .and_then(|text| number(text.trim())))
    }

    /// One value out of a file of `key value` lines.
    pub(crate) fn keyed(&self, file: &str, key: &str) -> Result<Option<u64>> {
        Ok(self.read_if_there(file)?.and_then(|text| keyed(&text, key)))
    }

    /// Writes a value in one write(2), as the kernel wants it.
    pub(crate) fn write(&self, file: &str, value: impl AsRef<str>) -> Result<()> {
        let value = value.as_ref();
        let failed = |source: std::io::Error| {
            Error::file(format!("write {value:?} to"), &self.path.join(file), source)
        };
        let fd = rustix::fs::openat(
            &self.fd,
            file,
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| failed(e.into()))?;
        File::from(fd).write_all(value.as_bytes()).map_err(failed)
    }
}

/// Removes the group `name` of `parent` with all groups below it, innermost first. Gone is fine.
pub(crate) fn remove_tree(parent: &Dir, name: &str) -> Result<()> {
    let Some(dir) = parent.child(name)? else {
        return Ok(());
    };
    // A bare rmdir is the common case: one system call.
    match remove_one(parent, name) {
        Err(e) if matches!(e.errno(), Some(code) if code == Errno::BUSY.raw_os_error()) => {}
        other => return other,
    }
    for child in dir.children()? {
        remove_tree(&dir, &child)?;
    }
    remove_one(parent, name)
}

/// Removes one group, which must have neither processes nor groups in it. Gone is fine.
pub(crate) fn remove_one(parent: &Dir, name: &str) -> Result<()> {
    match rustix::fs::unlinkat(parent.fd(), name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(Error::file("rmdir", &parent.path().join(name), e)),
    }
}

/// Whether the error says that a file or the whole group is not there.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(
        error.errno().map(Errno::from_raw_os_error),
        Some(Errno::NOENT | Errno::NODEV)
    )
}

/// A number of a control file; `max` is `u64::MAX`.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text == "max" {
        Some(u64::MAX)
    } else {
        text.parse().ok()
    }
}

/// One value out of `key value` lines.
pub(crate) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| number(value.trim())).flatten()
    })
}
