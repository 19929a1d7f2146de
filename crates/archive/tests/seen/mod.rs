//! A tree as an archive sees it.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// Everything an archive keeps of one name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    content: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    device: u64,
    /// The smallest name of the same file.
    first: String,
}

impl Seen {
    /// Whether overlayfs takes it for a removal.
    #[allow(dead_code, reason = "not every test that looks has removals")]
    pub(crate) fn is_removal(&self) -> bool {
        self.mode & 0o170_000 == 0o020_000 && self.device == 0
    }
}

/// All names below a directory.
pub(crate) fn look(root: &Path) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    let mut paths = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            }
            paths.push(entry.path());
        }
    }
    paths.sort();
    let mut firsts: BTreeMap<u64, String> = BTreeMap::new();
    for path in paths {
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let status = match std::fs::symlink_metadata(&path) {
            Ok(status) => status,
            // Overlayfs lists removals of the lowest layer, and says that they are not there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => panic!("{path:?}: {error}"),
        };
        let kind = status.file_type();
        let content = if kind.is_file() {
            std::fs::read(&path).unwrap()
        } else if kind.is_symlink() {
            std::fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else {
            Vec::new()
        };
        let mut names = vec![0; 4096];
        let length = rustix::fs::llistxattr(&path, names.as_mut_slice()).unwrap_or(0);
        let mut xattrs = BTreeMap::new();
        for key in names[..length]
            .split(|byte| *byte == 0)
            .filter(|key| !key.is_empty())
        {
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(&path, key, value.as_mut_slice()).unwrap();
            value.truncate(length);
            xattrs.insert(key.to_vec(), value);
        }
        let first = match kind.is_dir() {
            true => name.clone(),
            false => firsts
                .entry(status.ino())
                .or_insert_with(|| name.clone())
                .clone(),
        };
        let device = if kind.is_char_device() || kind.is_block_device() {
            status.rdev()
        } else {
            0
        };
        let mode = if kind.is_symlink() {
            0o120_777
        } else {
            status.mode()
        };
        seen.insert(
            name,
            Seen {
                mode,
                owner: (status.uid(), status.gid()),
                mtime: (status.mtime(), status.mtime_nsec()),
                content,
                xattrs,
                device,
                first,
            },
        );
    }
    seen
}
