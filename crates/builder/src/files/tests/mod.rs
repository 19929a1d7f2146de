//! What COPY, ADD and WORKDIR do, over real trees. Trees are written as words: `a/` a directory, `a=text` a file,
//! `a->b` a link, `a|` a fifo; behind it `@755` its mode and `:1:2` its owner, where they are not as usual.

mod add;
mod copy;
mod digest;
mod hostile;
mod index;
mod missing;
mod walk;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use onggi_dockerfile::Dockerfile;
use tempfile::TempDir;

use super::*;
use crate::plan::Op;
use crate::{BaseImage, Outline, Request};

/// A directory with these files.
pub(super) fn tree_of(words: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    for word in words.split_whitespace() {
        make(directory.path(), word);
    }
    directory
}

fn make(root: &Path, word: &str) {
    let (word, mode) = match word.rsplit_once('@') {
        Some((word, mode)) => (word, Some(mode)),
        None => (word, None),
    };
    let (mode, owner) = match mode.and_then(|mode| mode.split_once(':')) {
        Some((mode, owner)) => (Some(mode), owner.split_once(':')),
        None => (mode, None),
    };
    let mode = mode.map(|mode| u32::from_str_radix(mode, 8).unwrap());
    let path = root.join(
        word.split(['=', '|', '>'])
            .next()
            .unwrap()
            .trim_end_matches('-'),
    );
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if let Some((_, target)) = word.split_once("->") {
        std::os::unix::fs::symlink(target, &path).unwrap();
        return;
    }
    if let Some((_, text)) = word.split_once('=') {
        fs::write(&path, text).unwrap();
    } else if word.ends_with('|') {
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, mode, 0).unwrap();
    } else {
        fs::create_dir_all(&path).unwrap();
    }
    if let Some((user, group)) = owner {
        std::os::unix::fs::chown(&path, user.parse().ok(), group.parse().ok()).unwrap();
    }
    if let Some(mode) = mode {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
}

/// The files below a directory as words, sorted.
pub(super) fn words_of(root: &Path) -> String {
    let mut words = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let status = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().display();
            let (mut word, usual) = if status.is_dir() {
                waiting.push(path.clone());
                (format!("{name}/"), 0o755)
            } else if status.is_symlink() {
                (
                    format!("{name}->{}", fs::read_link(&path).unwrap().display()),
                    0o777,
                )
            } else if status.file_type().is_fifo() {
                (format!("{name}|"), 0o644)
            } else {
                (
                    format!("{name}={}", fs::read_to_string(&path).unwrap_or_default()),
                    0o644,
                )
            };
            let (mode, owner) = (status.mode() & 0o7777, (status.uid(), status.gid()));
            if mode != usual || owner != (0, 0) {
                word += &format!("@{mode:o}");
            }
            if owner != (0, 0) {
                word += &format!(":{}:{}", owner.0, owner.1);
            }
            words.push(word);
        }
    }
    words.sort();
    words.join(" ")
}

/// What a line of a Dockerfile, behind `WORKDIR /w`, is to do; `--from=x` is a stage.
pub(super) fn copy_of(line: &str) -> CopyFiles {
    let text = format!("FROM a AS x\nFROM b\nWORKDIR /w\n{line}\n");
    let file = Dockerfile::parse(&text).unwrap();
    let request = Request::default();
    let outline = Outline::of(&file, &request).unwrap();
    let images = outline
        .images()
        .into_iter()
        .map(|key| (key, BaseImage::default()));
    let plan = outline.plan(&request, &images.collect()).unwrap();
    match plan.steps.last().map(|step| step.op.clone()) {
        Some(Op::Copy(copy)) => copy,
        other => panic!("{line}: {other:?}"),
    }
}

pub(super) fn context(of: &TempDir, ignore: &str) -> Tree {
    let root = File::open(of.path()).unwrap();
    Tree::new(root.into(), "context").ignoring(Ignore::parse(ignore).unwrap())
}

/// Does what a line says, with a context, to a root. All that went wrong, as people read it.
pub(super) fn run(line: &str, from: &Tree, root: &Path) -> Result<(), String> {
    let copy = copy_of(line);
    let done = Selection::of(from, &copy).and_then(|selection| {
        selection.digest()?;
        selection.place(File::open(root).unwrap().as_fd())
    });
    done.map_err(|error| onggi_model::chain(&error))
}

/// What is in a root after a line.
pub(super) fn result(line: &str, from: &str, ignore: &str, root: &str) -> Result<String, String> {
    let (from, root) = (tree_of(from), tree_of(root));
    run(line, &context(&from, ignore), root.path())?;
    Ok(words_of(root.path()))
}
