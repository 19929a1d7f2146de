//! A root, and beside it a tree that tells when anything touched it.

#![allow(dead_code, reason = "two tests use it, not all of it each")]

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Everything the kernel says of a name: kind and mode, owner, times to the nanosecond (also that of the last change of
/// anything else), names, size, content, attributes.
type Seen = (u32, (u32, u32), [(i64, i64); 2], u64, u64, Vec<u8>, Vec<u8>);

/// Roots beside a canary.
#[derive(Debug)]
pub(crate) struct Place {
    outer: TempDir,
    before: BTreeMap<PathBuf, Seen>,
}

impl Place {
    pub(crate) fn new() -> Place {
        // Thousands of files come and go: in memory, where that is to be had.
        let memory = tempfile::tempdir_in("/dev/shm");
        let outer = memory.or_else(|_| tempfile::tempdir()).unwrap();
        let tree = outer.path().join("canary");
        std::fs::create_dir_all(tree.join("sub")).unwrap();
        std::fs::create_dir(outer.path().join("roots")).unwrap();
        std::fs::write(tree.join("secret"), "untouched").unwrap();
        std::fs::write(tree.join("sub/other"), "untouched").unwrap();
        std::os::unix::fs::symlink("secret", tree.join("link")).unwrap();
        let before = look(&tree);
        Place { outer, before }
    }

    /// The canary, as an absolute name on this machine.
    pub(crate) fn path(&self) -> &str {
        // The names of temporary folders are plain.
        self.outer.path().to_str().unwrap()
    }

    /// An empty root. The canary is two levels up: `../../canary`.
    pub(crate) fn root(&self) -> PathBuf {
        let root = self.outer.path().join("roots/root");
        if root.exists() {
            // It goes as deep on the stack as the tree is.
            let thread = std::thread::Builder::new().stack_size(256 << 20);
            let path = root.clone();
            let remove = thread.spawn(move || std::fs::remove_dir_all(path)).unwrap();
            remove.join().unwrap().unwrap();
        }
        std::fs::create_dir(&root).unwrap();
        root
    }

    /// A root whose owner put links to the canary where archives have directories and files.
    pub(crate) fn root_in_use(&self) -> PathBuf {
        let root = self.root();
        let canary = self.outer.path().join("canary");
        for name in ["a", "d", "s", "x"] {
            std::os::unix::fs::symlink(&canary, root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(canary.join("secret"), root.join("f")).unwrap();
        root
    }

    /// Nothing beside the root changed, and what is in it takes no more than `disk` bytes.
    pub(crate) fn assert_untouched(&self, name: &str, disk: u64) {
        let now = look(&self.outer.path().join("canary"));
        assert!(
            now == self.before,
            "{name}: {now:#?}\nwas {:#?}",
            self.before
        );
        for (folder, expected) in [
            (self.outer.path().to_path_buf(), &["canary", "roots"][..]),
            (self.outer.path().join("roots"), &["root"]),
        ] {
            let mut names: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            names.sort();
            assert_eq!(names, expected, "{name}");
        }
        let used = used(&self.outer.path().join("roots/root"));
        assert!(used < disk, "{name}: {used} bytes on the disk");
    }
}

/// Bytes that files take. What lies deeper than a name reaches counts for nothing.
fn used(root: &Path) -> u64 {
    let mut waiting = vec![root.to_path_buf()];
    let mut bytes = 0;
    while let Some(path) = waiting.pop() {
        let Ok(status) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        bytes += status.blocks() * 512;
        if status.is_dir()
            && let Ok(folder) = std::fs::read_dir(path)
        {
            waiting.extend(folder.map(|entry| entry.unwrap().path()));
        }
    }
    bytes
}

fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let status = std::fs::symlink_metadata(&path).unwrap();
        let kind = status.file_type();
        let content = if kind.is_symlink() {
            std::fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else if kind.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        if kind.is_dir() {
            waiting.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        assert!(
            !kind.is_char_device() && !kind.is_block_device(),
            "{path:?}"
        );
        let mut xattrs = vec![0; 4096];
        let length = rustix::fs::llistxattr(&path, xattrs.as_mut_slice()).unwrap_or(0);
        xattrs.truncate(length);
        let times = [
            (status.mtime(), status.mtime_nsec()),
            (status.ctime(), status.ctime_nsec()),
        ];
        let owner = (status.uid(), status.gid());
        let one = (
            status.mode(),
            owner,
            times,
            status.nlink(),
            status.size(),
            content,
            xattrs,
        );
        seen.insert(path, one);
    }
    seen
}
