//! Trees of files, compared to the byte.

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

/// What is known of a file.
pub(crate) type Tree = BTreeMap<String, String>;

/// Everything below a directory: kind, mode, owner, device, time, attributes, content.
pub(crate) fn tree(root: &Path) -> Result<Tree> {
    let mut found = Tree::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let status = fs::symlink_metadata(&path)?;
        let kind = status.file_type();
        let content = if kind.is_symlink() {
            fs::read_link(&path)?.display().to_string()
        } else if kind.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
            String::new()
        } else if kind.is_file() {
            onggi_testkit::digest(&fs::read(&path)?)
        } else {
            let device = kind.is_char_device() || kind.is_block_device();
            format!("device {device} {}", status.rdev())
        };
        let attributes = match kind.is_file() || kind.is_dir() {
            true => attributes(&path)?,
            false => String::new(),
        };
        let name = path.strip_prefix(root)?.display().to_string();
        let links = if kind.is_dir() { 0 } else { status.nlink() };
        found.insert(
            name,
            format!(
                "{:o} {}:{} {links} {}.{} {content} {attributes}",
                status.mode(),
                status.uid(),
                status.gid(),
                status.mtime(),
                status.mtime_nsec(),
            ),
        );
    }
    Ok(found)
}

fn attributes(path: &Path) -> Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let mut names = vec![0; 4096];
    let length = rustix::fs::flistxattr(&file, names.as_mut_slice())?;
    let mut text = String::new();
    for name in names[..length].split(|byte| *byte == 0) {
        if name.is_empty() {
            continue;
        }
        let mut value = vec![0; 4096];
        let length = rustix::fs::fgetxattr(&file, name, value.as_mut_slice())?;
        let name = String::from_utf8_lossy(name);
        text.push_str(&format!("{name}={:x?} ", &value[..length]));
    }
    Ok(text)
}

/// The tree in a tar.
pub(crate) fn of_tar(tar: &Path, into: &Path) -> Result<Tree> {
    fs::create_dir(into)?;
    let status = Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"])
        .arg(tar)
        .arg("-C")
        .arg(into)
        .status()
        .context("tar")?;
    anyhow::ensure!(status.success(), "tar: {status}");
    tree(into)
}

/// What is different, line by line.
pub(crate) fn differences(a: &Tree, b: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for name in a.keys().chain(b.keys()) {
        let (a, b) = (a.get(name), b.get(name));
        if a != b {
            found.push(format!("{name}: {a:?} and {b:?}"));
        }
    }
    found.sort();
    found.dedup();
    found
}
