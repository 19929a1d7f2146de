//! Local paths as `cp` reads them: how they end matters, and links are followed only as far as Docker's CLI does.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use super::Side;
use crate::error::{Error, Result, path_error};

/// Links followed at a destination.
const MAX_LINKS: usize = 10;

/// Go's `filepath.Clean`.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Go's `filepath.Base`.
pub(super) fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        trimmed => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// Go's `filepath.Dir`.
fn parent(path: &str) -> String {
    match path.rfind('/') {
        Some(slash) => clean(&path[..=slash]),
        None => ".".to_owned(),
    }
}

fn ends_in_dot(path: &str) -> bool {
    base(path) == "." && !path.ends_with("./") || path.rsplit('/').next() == Some(".")
}

/// Whether a path says by its end that it is a directory.
pub(super) fn asserts_directory(path: &str) -> bool {
    path.ends_with('/') || ends_in_dot(path)
}

/// Directory and last component; `.` where the path asks for the contents of a directory.
pub(crate) fn split_entry(path: &str) -> (String, String) {
    let mut cleaned = clean(path);
    if ends_in_dot(path) {
        cleaned.push_str("/.");
    }
    let name = base(&cleaned).to_owned();
    match name.as_str() {
        "." if cleaned.ends_with("/.") => (clean(&cleaned[..cleaned.len() - 1]), name),
        _ => (parent(&cleaned), name),
    }
}

/// `path` with the end that `original` had.
pub(super) fn keep_ending(mut path: String, original: &str) -> String {
    if !ends_in_dot(&path) && ends_in_dot(original) {
        if !path.ends_with('/') {
            path.push('/');
        }
        path.push('.');
    }
    if !path.ends_with('/') && original.ends_with('/') {
        path.push('/');
    }
    path
}

/// Absolute, cleaned, with its end.
pub(super) fn absolute(path: &str) -> Result<String> {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => {
            let here = std::env::current_dir()?;
            let here = here
                .to_str()
                .ok_or_else(|| Error::new("the working directory is not UTF-8"))?;
            format!("{here}/{path}")
        }
    };
    Ok(keep_ending(clean(&whole), path))
}

/// `link` as seen from `path`, where it was found.
pub(super) fn beside(path: &str, link: &str) -> String {
    match link.starts_with('/') {
        true => link.to_owned(),
        false => clean(&format!("{}/{link}", split_entry(path).0)),
    }
}

/// Where a followed path leads, with the end of the original, and the name it keeps.
pub(super) fn renamed(path: &str, resolved: String) -> (String, Option<String>) {
    let resolved = keep_ending(resolved, path);
    let name = (base(path) != base(&resolved)).then(|| base(path).to_owned());
    (resolved, name)
}

/// A local source.
pub(super) fn source(path: &str, follow: bool) -> Result<Side> {
    let canonical = |path: &str| -> Result<String> {
        let found = fs::canonicalize(path).map_err(|error| path_error("lstat", path, &error))?;
        let text = found.into_os_string().into_string();
        text.map_err(|_| Error::new(format!("{path} leads to a name that is not UTF-8")))
    };
    let (path, rebase) = match follow {
        true => renamed(path, canonical(path)?),
        false => {
            let slash = path.rfind('/').map_or(0, |slash| slash + 1);
            let (directory, name) = path.split_at(slash);
            let mut resolved = canonical(if directory.is_empty() { "." } else { directory })?;
            let rebase = path.ends_with('/') && base(path) != base(&resolved);
            resolved = format!("{}/{name}", resolved.trim_end_matches('/'));
            (resolved, rebase.then(|| base(path).to_owned()))
        }
    };
    let status = fs::symlink_metadata(&path).map_err(|error| path_error("lstat", &path, &error))?;
    Ok(Side {
        directory: status.is_dir(),
        exists: true,
        path,
        rebase,
    })
}

/// A local destination: the last link is followed, also to where nothing is yet.
pub(super) fn destination(path: &str) -> Result<Side> {
    let mut at = path.to_owned();
    for _ in 0..=MAX_LINKS {
        match fs::symlink_metadata(&at) {
            Ok(status) if status.is_symlink() => {
                let link =
                    fs::read_link(&at).map_err(|error| path_error("readlink", &at, &error))?;
                let link = link
                    .to_str()
                    .ok_or_else(|| Error::new(format!("{at} leads to a name that is not UTF-8")))?;
                at = beside(&at, link);
            }
            Ok(status) => {
                return Ok(Side {
                    path: at,
                    exists: true,
                    directory: status.is_dir(),
                    rebase: None,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (parent, _) = split_entry(&at);
                let status =
                    fs::metadata(&parent).map_err(|error| path_error("stat", &parent, &error))?;
                if !status.is_dir() {
                    return Err(Error::new("not a directory"));
                }
                return Ok(Side {
                    path: at,
                    ..Side::default()
                });
            }
            Err(error) => return Err(path_error("lstat", &at, &error)),
        }
    }
    Err(Error::new(format!("too many symlinks in {path}")))
}

/// Refuses what cannot be written to: a name in no directory, a device.
pub(super) fn validate_output(path: &str) -> Result<()> {
    let parent = parent(&clean(path));
    if !Path::new(&parent).exists() {
        return Err(Error::new(format!(
            "invalid output path: directory {} does not exist",
            crate::quote(&parent)
        )));
    }
    match fs::metadata(path) {
        Ok(status)
            if status.file_type().is_char_device() || status.file_type().is_block_device() =>
        {
            Err(Error::new(format!(
                "invalid output path: {} must be a directory or a regular file: got a device",
                crate::quote(path)
            )))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(path_error("stat", path, &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_gos() {
        for (path, cleaned, last, directory) in [
            ("/", "/", "/", "/"),
            ("a/b/", "a/b", "b", "a/b"),
            ("/a/../b", "/b", "b", "/a/.."),
            ("../x", "../x", "x", ".."),
            ("x", "x", "x", "."),
            ("a/./b//c", "a/b/c", "c", "a/b"),
        ] {
            assert_eq!(
                (clean(path).as_str(), base(path)),
                (cleaned, last),
                "{path}"
            );
            assert_eq!(parent(path), clean(directory), "{path}");
        }
    }

    #[test]
    fn the_end_of_a_path_counts() {
        for (path, directory, name) in [
            ("/a/b", "/a", "b"),
            ("/a/b/", "/a", "b"),
            ("/a/b/.", "/a/b", "."),
            ("/", "/", "/"),
            ("/.", "/", "."),
            (".", ".", "."),
        ] {
            let expected = (directory.to_owned(), name.to_owned());
            assert_eq!(split_entry(path), expected, "{path}");
        }
        assert_eq!(keep_ending("/a".to_owned(), "a/."), "/a/.");
        assert_eq!(keep_ending("/a".to_owned(), "a/"), "/a/");
        assert_eq!(keep_ending("/".to_owned(), "."), "/.");
        assert!(asserts_directory("a/") && asserts_directory("a/.") && !asserts_directory("a"));
        assert_eq!(
            renamed("/l", "/t".to_owned()),
            ("/t".to_owned(), Some("l".to_owned()))
        );
        assert_eq!(renamed("/l/.", "/t".to_owned()), ("/t/.".to_owned(), None));
        assert_eq!(beside("/d/l", "../x"), "/x");
    }
}
