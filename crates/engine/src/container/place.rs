//! Paths below the root of a container: resolved by the kernel as if that root were `/`, used as descriptors.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use onggi_sys::inside;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// What the end of a path says about what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing: a link is a link.
    Plain,
    /// `/`: a directory, links are followed.
    Slash,
    /// `/.`: the contents of a directory, links are followed.
    Dot,
}

/// A path as clients give it: absolute in the container, cleaned of `.` and `..` as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Without slashes at its ends; empty for the root.
    pub(crate) path: Vec<u8>,
    pub(crate) ending: Ending,
}

impl Asked {
    pub(crate) fn new(text: &str) -> Asked {
        let path = inside::clean(text.as_bytes());
        let ending = match text.rsplit('/').next() {
            Some(".") => Ending::Dot,
            Some("") if !path.is_empty() => Ending::Slash,
            _ => Ending::Plain,
        };
        Asked { path, ending }
    }

    /// Its last component, as Go's `filepath.Base` has it.
    pub(crate) fn base(&self) -> &[u8] {
        match (self.ending, self.path.rsplit(|byte| *byte == b'/').next()) {
            (Ending::Dot, _) => b".",
            (_, None | Some(b"")) => b"/",
            (_, Some(name)) => name,
        }
    }

    /// Parent and last component.
    pub(crate) fn split(&self) -> (&[u8], &[u8]) {
        inside::split(&self.path)
    }
}

/// Opens what is at `path` below `root`, links followed.
pub(crate) fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    Ok(inside::open(root, path, flags)?)
}

/// The directory that `directory`, perhaps a bare location, is, to list it.
pub(crate) fn listable(directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, ".", flags, Mode::empty())?)
}

/// Where `path` leads: see [`inside::follow`].
pub(crate) fn follow(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Vec<u8>> {
    Ok(inside::follow(root, path)?)
}

/// Makes what is missing of `path`, with its end a directory or an empty file.
pub(crate) fn make(root: BorrowedFd<'_>, path: &[u8], directory: bool) -> io::Result<()> {
    let path = follow(root, path)?;
    let names: Vec<&[u8]> = inside::parts(&path).collect();
    let mut parent = open(root, b"", OFlags::PATH | OFlags::DIRECTORY)?;
    for (at, name) in names.iter().enumerate() {
        let last = at + 1 == names.len();
        let made = match last && !directory {
            true => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let mode = Mode::from_raw_mode(0o644);
                rustix::fs::openat(&parent, *name, flags | OFlags::CLOEXEC, mode).map(drop)
            }
            false => rustix::fs::mkdirat(&parent, *name, Mode::from_raw_mode(0o755)),
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        if !last {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            parent = rustix::fs::openat(&parent, *name, flags, Mode::empty())?;
        }
    }
    Ok(())
}

/// What kind of file a descriptor is of.
pub(crate) fn kind(file: BorrowedFd<'_>) -> io::Result<FileType> {
    let status = rustix::fs::statat(file, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(status.st_mode))
}

pub(crate) fn is_directory(file: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(kind(file)? == FileType::Directory)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn paths_are_read_as_docker_reads_them() {
        for (text, path, ending, base) in [
            ("/", "", Ending::Plain, "/"),
            (".", "", Ending::Dot, "."),
            ("/.", "", Ending::Dot, "."),
            ("x", "x", Ending::Plain, "x"),
            ("/a/b", "a/b", Ending::Plain, "b"),
            ("/a/b/", "a/b", Ending::Slash, "b"),
            ("/a/b/.", "a/b", Ending::Dot, "."),
            ("../x", "x", Ending::Plain, "x"),
            ("/a/../../b//c", "b/c", Ending::Plain, "c"),
        ] {
            let asked = Asked::new(text);
            let found = (asked.path.as_slice(), asked.ending, asked.base());
            assert_eq!(found, (path.as_bytes(), ending, base.as_bytes()), "{text}");
        }
    }

    #[test]
    fn links_lead_to_places_inside() {
        let base = std::env::temp_dir().join(format!("onggi-place-{}", std::process::id()));
        std::fs::create_dir_all(base.join("a/b")).expect("can make a directory");
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, base.join(name)).expect("can link");
        };
        link("/a/b", "absolute");
        link("../../../a", "up");
        link("loop", "loop");
        link("/gone/x", "broken");
        let root = std::fs::File::open(&base).expect("is there");
        let at = |path: &str| follow(root.as_fd(), path.as_bytes());
        let text = |path: &str| String::from_utf8(at(path).expect(path)).expect("UTF-8");
        assert_eq!(text("/absolute"), "a/b");
        assert_eq!(text("up/b/../absolute"), "a/absolute");
        assert_eq!(text("broken"), "gone/x");
        assert_eq!(text("a/new/file"), "a/new/file");
        assert!(at("loop").is_err());
        make(root.as_fd(), b"absolute/new/place", true).expect("can be made");
        assert!(base.join("a/b/new/place").is_dir());
        make(root.as_fd(), b"broken", false).expect("can be made");
        assert!(base.join("gone/x").is_file());
        let _ = std::fs::remove_dir_all(&base);
    }
}
