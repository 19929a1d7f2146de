//! A part of a tree as files of its own: what `RUN --mount=type=bind` shows of a context that is an index.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{Mode, fchmod, mkdirat};

use super::attributes::Place;
use super::chmod::Chmod;
use super::content::Copier;
use super::find::{self, Found};
use super::index::Content;
use super::item::Item;
use super::place::{Change, Placer};
use super::walk::{Filter, Visit, absolute, walk};
use super::{Error, Tree, tree, with_item};

/// Makes what is at `path` in `from` at `name` in the directory `to`, where nothing is yet. Nothing changes: to whom files
/// belong, their modes and times stay. What `.dockerignore` leaves out is left out.
///
/// # Errors
/// As [`super::Selection::of`] and [`super::Selection::place`].
pub fn unfold(from: &Tree, path: &str, to: BorrowedFd<'_>, name: &str) -> Result<(), Error> {
    let found = find::at(from, path)?;
    let filter = Filter::default();
    fetch(from, &found, &filter)?;
    let change = Change {
        owner: None,
        chmod: Chmod::Kept,
    };
    let mut copier = Copier::default();
    let refused = |what| Error::file(what, absolute(&found.path));
    if !found.is_directory {
        let directory = tree::directory(to, b".").map_err(refused("open"))?;
        let mut placer = Placer::new(to, &change, &mut copier, directory, Vec::new())?;
        return with_item(from, &found.path, |item| placer.copy(item, name.as_bytes()));
    }
    mkdirat(to, name, Mode::RWXU).map_err(refused("mkdir"))?;
    let made = tree::directory(to, name.as_bytes()).map_err(refused("open"))?;
    // Not left to the umask while it is filled.
    fchmod(&made, Mode::RWXU).map_err(refused("chmod"))?;
    let own = tree::directory(to, name.as_bytes()).map_err(refused("open"))?;
    let mut placer = Placer::new(own.as_fd(), &change, &mut copier, made, Vec::new())?;
    walk(from, &found.path, &filter, &mut placer)?;
    placer.finish()?;
    let folder = from.folder(&found.path).map_err(refused("open"))?;
    let item = folder.item();
    let attributes = change.attributes(&item.facts, item.xattrs());
    let attributes = attributes.map_err(refused("read attributes of"))?;
    let written = attributes.write(Place::Open(own.as_fd()));
    written.map_err(refused("write attributes of"))
}

/// Has the bytes fetched of all files that are found.
pub(crate) fn fetch(from: &Tree, found: &Found, filter: &Filter<'_>) -> Result<(), Error> {
    let Some(index) = from.index() else {
        return Ok(());
    };
    let mut wanted = Wanted::default();
    if found.is_directory {
        walk(from, &found.path, filter, &mut wanted)?;
    } else {
        with_item(from, &found.path, |item| wanted.file(&found.path, item))?;
    }
    index.contents().fetch(&wanted.0)
}

#[derive(Default)]
struct Wanted(Vec<Content>);

impl Visit for Wanted {
    fn enter(&mut self, _: &[u8], _: &Item<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn file(&mut self, _: &[u8], item: &Item<'_>) -> Result<(), Error> {
        self.0.extend(item.content());
        Ok(())
    }
}
