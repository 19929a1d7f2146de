//! From the sources of an instruction to what they name in a tree.

use onggi_dockerfile::ignore::Ignore;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::glob::{Glob, is_wild};
use super::item::Item;
use super::tree::Last;
use super::walk::{Filter, Visit, walk};
use super::{Error, Tree, near, tree};

/// What one source, or one match of its wildcards, names.
#[derive(Debug)]
pub(crate) struct Found {
    /// In its tree, clean, links followed.
    pub(crate) path: Vec<u8>,
    /// What it is called in a directory.
    pub(crate) name: Vec<u8>,
    pub(crate) is_directory: bool,
    /// `--parents`: what of the directory counts.
    pub(crate) only: Option<Ignore>,
}

/// Sources that are no paths: ADD fetches them.
#[must_use]
pub fn is_remote(source: &str) -> bool {
    let has = |schemes: &[&str]| schemes.iter().any(|scheme| source.starts_with(scheme));
    has(&["http://", "https://", "git://", "ssh://", "git@"]) || is_scp(source)
}

/// `user@host:path`
fn is_scp(source: &str) -> bool {
    let plain = |text: &str, also: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
        !text.is_empty() && text.chars().all(fits)
    };
    let Some((user, rest)) = source.split_once('@') else {
        return false;
    };
    rest.split_once(':').is_some_and(|(host, path)| {
        plain(user, "_-.") && plain(host, "-.") && path.contains(".git")
    })
}

/// What one source names, in the order of names.
///
/// # Errors
/// A path that is not there, or that `.dockerignore` leaves out. Wildcards may match nothing.
pub(crate) fn find(
    from: &Tree,
    source: &str,
    exclude: Option<&Ignore>,
) -> Result<Vec<Found>, Error> {
    if !is_wild(source) {
        let found = at(from, source)?;
        let is_excluded =
            |rules: &Ignore| !found.is_directory && rules.ignores(&tree::text(&found.name));
        return Ok(match exclude.is_some_and(is_excluded) {
            true => Vec::new(),
            false => vec![found],
        });
    }
    let mut names = source.split('/').filter(|name| !matches!(*name, "" | "."));
    let mut base = Vec::new();
    let mut globs = Vec::new();
    for name in names.by_ref() {
        if globs.is_empty() && !is_wild(name) {
            base = tree::clean(&tree::join(&base, name.as_bytes()));
        } else {
            globs.push(Glob::parse(name)?);
        }
    }
    let asked = base;
    let base = follow(from, &asked)?;
    if !base.is_empty() && from.ignore.ignores_all_below(&tree::text(&base)) {
        return Err(near::missing(from, &asked));
    }
    let mut matches = vec![Vec::new()];
    for (number, glob) in globs.iter().enumerate() {
        let is_last = number + 1 == globs.len();
        let mut next = Vec::new();
        for above in &matches {
            let here = tree::join(&base, above);
            for (name, kind) in list(from, &here)? {
                let path = tree::join(above, &name);
                let full = tree::join(&base, &path);
                let fits = glob.matches(&tree::text(&name))
                    && (is_last || kind == FileType::Directory)
                    && !from.ignore.ignores_all_below(&tree::text(&full))
                    && !(is_last
                        && exclude
                            .is_some_and(|rules| rules.ignores_all_below(&tree::text(&path))));
                if fits {
                    next.push(path);
                }
            }
        }
        matches = next;
    }
    let mut found = Vec::new();
    for path in matches {
        let name = tree::split(&path).1.to_vec();
        let path = tree::join(&base, &path);
        let is_ignored = from.ignore.ignores(&tree::text(&path));
        if !is_ignored || has_any(from, &path)? {
            found.push(one(from, &path, name)?);
        }
    }
    Ok(found)
}

/// `--parents`: the directory that paths begin at, and what of it counts. Without `/./` that is the root.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_with_parents(from: &Tree, source: &str) -> Result<Vec<Found>, Error> {
    let (pivot, pattern) = source.split_once("/./").unwrap_or(("", source));
    let pattern = tree::clean(pattern.as_bytes());
    let pattern = tree::text(&pattern).into_owned();
    let mut only = Ignore::default();
    let all = if pattern.is_empty() { "**" } else { &pattern };
    let refused = |error: onggi_dockerfile::Error| Error::wrong(error.to_string());
    only.push(all.strip_prefix('!').unwrap_or(all))
        .map_err(refused)?;
    let bases = match is_wild(pivot) {
        true => find(from, pivot, None)?,
        false => vec![at(from, pivot)?],
    };
    let mut found: Vec<Found> = bases.into_iter().filter(|base| base.is_directory).collect();
    if !is_wild(&pattern) && !pattern.is_empty() {
        // One that is named must be there.
        for base in &found {
            there(from, &tree::join(&base.path, pattern.as_bytes()))?;
        }
    }
    for base in &mut found {
        base.only = Some(only.clone());
    }
    Ok(found)
}

/// Whether something that counts is at a clean path; links are what they are.
fn there(from: &Tree, path: &[u8]) -> Result<(), Error> {
    match from.has(path) {
        Ok(()) => {}
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(near::missing(from, path)),
        Err(errno) => return Err(Error::file("open", path)(errno)),
    }
    match from.ignore.ignores(&tree::text(path)) && !has_any(from, path)? {
        true => Err(near::missing(from, path)),
        false => Ok(()),
    }
}

/// What is at a path, without wildcards.
///
/// # Errors
/// As [`find`].
pub(crate) fn at(from: &Tree, path: &str) -> Result<Found, Error> {
    let path = tree::clean(path.as_bytes());
    let name = tree::split(&path).1.to_vec();
    one(from, &path, name)
}

/// What is at a clean path.
fn one(from: &Tree, asked: &[u8], name: Vec<u8>) -> Result<Found, Error> {
    let path = follow(from, asked)?;
    let ignores = from.ignore.ignores(&tree::text(&path)) && !path.is_empty();
    let kind = match from.kind(&path, Last::Keep) {
        Ok(kind) => kind,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(near::missing(from, asked)),
        Err(errno) => return Err(Error::file("open", &path)(errno)),
    };
    let is_directory = kind == FileType::Directory;
    if ignores && !(is_directory && has_any(from, &path)?) {
        return Err(near::missing(from, asked));
    }
    Ok(Found {
        path,
        name,
        is_directory,
        only: None,
    })
}

fn follow(from: &Tree, path: &[u8]) -> Result<Vec<u8>, Error> {
    match from.follow(path) {
        Ok(path) => Ok(path),
        Err(Errno::LOOP) => Err(Error::wrong(format!(
            "failed to calculate checksum of {}: \"/{}\": too many links",
            from.name,
            tree::text(path)
        ))),
        Err(errno) => Err(Error::file("open", path)(errno)),
    }
}

/// The names in a directory, with what they are for certain.
fn list(from: &Tree, path: &[u8]) -> Result<Vec<(Vec<u8>, FileType)>, Error> {
    let directory = match from.folder(path) {
        Ok(directory) => directory,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(near::missing(from, path)),
        Err(errno) => return Err(Error::file("open", path)(errno)),
    };
    let mut names = directory.names().map_err(Error::file("list", path))?;
    for (name, kind) in names
        .iter_mut()
        .filter(|(_, kind)| *kind == FileType::Unknown)
    {
        if directory.folder(name).is_ok() {
            *kind = FileType::Directory;
        }
    }
    Ok(names)
}

/// Whether anything below a directory that is ignored comes back.
fn has_any(from: &Tree, path: &[u8]) -> Result<bool, Error> {
    if from.ignore.ignores_all_below(&tree::text(path)) {
        return Ok(false);
    }
    let mut count = Count(0);
    if from.folder(path).is_ok() {
        walk(from, path, &Filter::default(), &mut count)?;
    }
    Ok(count.0 > 0)
}

struct Count(usize);

impl Visit for Count {
    fn enter(&mut self, _: &[u8], _: &Item<'_>) -> Result<(), Error> {
        self.0 += 1;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn file(&mut self, _: &[u8], _: &Item<'_>) -> Result<(), Error> {
        self.0 += 1;
        Ok(())
    }
}
