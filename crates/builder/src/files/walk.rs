//! Walking what a source names, without what does not count: what `.dockerignore` and `--exclude` leave out, and with
//! `--parents` what the pattern does not name. Directories that nothing can come from are never opened.

use onggi_dockerfile::ignore::{Ignore, Verdict};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::item::{Folder, Item};
use super::{Error, Tree, tree};

/// Who takes what is found. Names of a directory come in their order, each directory before what is in it.
pub(crate) trait Visit {
    /// A directory below the one that is walked; what comes until [`Visit::leave`] is in it.
    fn enter(&mut self, path: &[u8], directory: &Item<'_>) -> Result<(), Error>;
    /// The directory that was entered last has been seen.
    fn leave(&mut self) -> Result<(), Error>;
    /// Anything else.
    fn file(&mut self, path: &[u8], item: &Item<'_>) -> Result<(), Error>;
}

/// What does not count below a directory.
#[derive(Debug, Default)]
pub(crate) struct Filter<'a> {
    /// `--exclude`, by paths below the directory.
    pub(crate) exclude: Option<&'a Ignore>,
    /// `--parents`: what this names counts, by paths below the directory.
    pub(crate) only: Option<&'a Ignore>,
}

/// What is known of a path.
#[derive(Debug, Default)]
struct Known {
    ignore: Option<Verdict>,
    exclude: Option<Verdict>,
    only: Option<Verdict>,
}

/// A directory on the way down.
struct Level<'a> {
    directory: Folder<'a>,
    /// Below where the walk began.
    path: Vec<u8>,
    /// Names still to be seen, the last one first.
    names: Vec<(Vec<u8>, FileType)>,
    known: Known,
    /// Whether the visitor has been told of it.
    is_entered: bool,
}

/// Walks the directory at `start`, a clean path without links. Returns how many directories were read.
///
/// # Errors
/// What the visitor says, and files that cannot be looked at.
pub(crate) fn walk(
    from: &Tree,
    start: &[u8],
    filter: &Filter<'_>,
    visit: &mut dyn Visit,
) -> Result<usize, Error> {
    let refused = |errno| Error::file("read", absolute(start))(errno);
    let root = from.folder(start).map_err(refused)?;
    let known = Known {
        ignore: above(&from.ignore, start),
        exclude: None,
        only: None,
    };
    let walk = Walk {
        from,
        start,
        filter,
    };
    let mut levels = vec![walk.level(root, Vec::new(), known, true)?];
    let mut read = 1;
    while let Some(level) = levels.last_mut() {
        let Some((name, kind)) = level.names.pop() else {
            if level.is_entered && levels.len() > 1 {
                visit.leave()?;
            }
            levels.pop();
            continue;
        };
        let path = tree::join(&level.path, &name);
        let known = walk.look(&level.known, &path);
        let counts = walk.counts(&known);
        if !counts && (kind != FileType::Directory && kind != FileType::Unknown) {
            continue;
        }
        let refused = |errno| Error::file("read", absolute(&tree::join(start, &path)))(errno);
        if kind == FileType::Directory || kind == FileType::Unknown {
            if !counts && walk.prunes(&known, &path) {
                continue;
            }
            match level.directory.folder(&name) {
                Ok(directory) => {
                    if counts {
                        enter(&mut levels, visit)?;
                        visit.enter(&path, &directory.item())?;
                    }
                    read += 1;
                    levels.push(walk.level(directory, path, known, counts)?);
                    continue;
                }
                Err(Errno::NOTDIR | Errno::LOOP) if !counts => continue,
                Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(refused(errno)),
            }
        }
        enter(&mut levels, visit)?;
        let Some(level) = levels.last() else { break };
        match level.directory.at(&name) {
            Ok(item) => visit.file(&path, &item)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(errno)),
        }
    }
    Ok(read)
}

/// Tells of the directories that lead to what has been found.
fn enter(levels: &mut [Level<'_>], visit: &mut dyn Visit) -> Result<(), Error> {
    for level in levels.iter_mut().filter(|level| !level.is_entered) {
        visit.enter(&level.path, &level.directory.item())?;
        level.is_entered = true;
    }
    Ok(())
}

struct Walk<'a> {
    from: &'a Tree,
    start: &'a [u8],
    filter: &'a Filter<'a>,
}

impl Walk<'_> {
    fn level<'b>(
        &self,
        directory: Folder<'b>,
        path: Vec<u8>,
        known: Known,
        is_entered: bool,
    ) -> Result<Level<'b>, Error> {
        let refused = Error::file("list", absolute(&tree::join(self.start, &path)));
        let mut names = directory.names().map_err(refused)?;
        names.reverse();
        Ok(Level {
            directory,
            path,
            names,
            known,
            is_entered,
        })
    }

    fn look(&self, above: &Known, path: &[u8]) -> Known {
        let look = |rules: &Ignore, above: Option<&Verdict>, path: &[u8]| {
            rules.look(above, &tree::text(path))
        };
        let ignore = (!self.from.ignore.is_empty()).then(|| {
            let path = tree::join(self.start, path);
            look(&self.from.ignore, above.ignore.as_ref(), &path)
        });
        let exclude = self.filter.exclude;
        let only = self.filter.only;
        Known {
            ignore,
            exclude: exclude.map(|rules| look(rules, above.exclude.as_ref(), path)),
            only: only.map(|rules| look(rules, above.only.as_ref(), path)),
        }
    }

    fn counts(&self, known: &Known) -> bool {
        let says = |verdict: &Option<Verdict>| verdict.as_ref().map(Verdict::is_ignored);
        says(&known.ignore) != Some(true)
            && says(&known.exclude) != Some(true)
            && says(&known.only) != Some(false)
    }

    /// Whether nothing below a directory that does not count can count.
    fn prunes(&self, known: &Known, path: &[u8]) -> bool {
        let pruned = |rules: &Ignore, verdict: &Option<Verdict>, path: &[u8]| {
            let verdict = verdict.as_ref();
            verdict.is_some_and(|verdict| rules.prunes(verdict, &tree::text(path)))
        };
        let only = self.filter.only.zip(known.only.as_ref());
        pruned(
            &self.from.ignore,
            &known.ignore,
            &tree::join(self.start, path),
        ) || (self.filter.exclude).is_some_and(|rules| pruned(rules, &known.exclude, path))
            || only.is_some_and(|(rules, verdict)| {
                !verdict.is_ignored() && !rules.may_ignore_below(&tree::text(path))
            })
    }
}

/// What rules say of a path, asked from the top down.
fn above(rules: &Ignore, path: &[u8]) -> Option<Verdict> {
    if rules.is_empty() {
        return None;
    }
    let mut verdict = None;
    let mut here = Vec::new();
    for part in tree::parts(path) {
        here = tree::join(&here, part);
        verdict = Some(rules.look(verdict.as_ref(), &tree::text(&here)));
    }
    verdict
}

/// A clean path as people write it.
pub(crate) fn absolute(path: &[u8]) -> Vec<u8> {
    [b"/", path].concat()
}
