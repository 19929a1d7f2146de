//! The whole: made, found, held, mounted, removed.
//!
//! Order of a creation: catalogue, directory, answer; what is on record without a directory gets one at the next start.
//! Order of a removal: the directory is renamed aside, the catalogue forgets the volume, the directory is deleted behind;
//! what is aside and still on record comes back at the next start.
//!
//! Lock order: a volume's `work`, then the index. Nobody waits for the disk or a file server with the index locked, so
//! that a volume on a dead server stops nobody but its own users.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onggi_store::{Store, WriteTx};
use sha2::{Digest as _, Sha256};

use crate::import::IMPORT;
use crate::record::Pending;
use crate::{Error, NewVolume, Result, Volume, fill, local, usage};

/// Where the files of a volume are, below its own directory.
pub(crate) const DATA: &str = "_data";
/// What is being put together for an empty volume.
pub(crate) const FILL: &str = ".fill";
/// A directory that is being removed: this and the volume's name, see [`aside`].
pub(crate) const ASIDE: &str = ".removing-";
/// The longest name of a file, in bytes.
const MAX_NAME: usize = 255;

/// What the directory of a volume is called while it is removed.
pub(crate) fn aside(name: &str) -> String {
    if ASIDE.len() + name.len() <= MAX_NAME {
        return format!("{ASIDE}{name}");
    }
    let digest = Sha256::digest(name.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{ASIDE}{hex}")
}

/// The volumes of one data root.
#[derive(Debug)]
pub struct Volumes {
    pub(crate) root: PathBuf,
    pub(crate) store: Store,
    pub(crate) index: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) volume: Arc<Volume>,
    pub(crate) stage: Stage,
    /// Held by whoever makes, mounts, fills or removes it.
    pub(crate) work: Arc<Mutex<()>>,
    /// Containers that have it among their mounts.
    pub(crate) holders: BTreeSet<String>,
    /// Those of them that run.
    pub(crate) users: BTreeSet<String>,
    /// Who else works with its files: exports, an import.
    pub(crate) guests: Vec<&'static str>,
}

impl Entry {
    pub(crate) fn new(volume: Volume, stage: Stage) -> Self {
        Self {
            volume: Arc::new(volume),
            stage,
            work: Arc::default(),
            holders: BTreeSet::new(),
            users: BTreeSet::new(),
            guests: Vec::new(),
        }
    }

    /// An error where anybody but this container, and so many guests, has it.
    pub(crate) fn unused(
        &self,
        what: &'static str,
        container: Option<&str>,
        own: usize,
    ) -> Result<()> {
        let others = self
            .holders
            .iter()
            .filter(|holder| Some(holder.as_str()) != container);
        let mut holders: Vec<String> = others.cloned().collect();
        if self.guests.len() > own {
            holders.extend(self.guests.iter().map(|&guest| guest.to_owned()));
        }
        match holders.is_empty() {
            true => Ok(()),
            false => Err(Error::InUse {
                what,
                name: self.volume.name.clone(),
                holders,
            }),
        }
    }

    /// Notes who has it made.
    fn made_for(&mut self, maker: Maker<'_>) -> Result<()> {
        match maker {
            Maker::User => {}
            Maker::Container(id) => {
                self.holders.insert(id.to_owned());
            }
            Maker::Import if self.guests.contains(&IMPORT) => {
                return Err(Error::Busy(self.volume.name.clone()));
            }
            Maker::Import => self.guests.push(IMPORT),
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Making,
    Ready,
    Removing,
}

/// Who has a volume made.
#[derive(Clone, Copy, Debug)]
pub enum Maker<'a> {
    /// A user, by its name.
    User,
    /// A container that is being made itself, and holds it from now on. Until [`Volumes::settle_in`] a volume that was not
    /// there before goes when the daemon does.
    Container(&'a str),
    /// An import, its guest from now on. Until it is done a volume that was not there before goes when the daemon does.
    Import,
}

/// What asking for a volume gave.
#[derive(Clone, Debug)]
pub struct Created {
    /// The volume.
    pub volume: Arc<Volume>,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Volumes {
    /// Makes the volume, or finds the one of this name.
    ///
    /// # Errors
    /// [`Error::Name`] and its like for what cannot be; [`Error::File`], [`Error::Store`].
    pub fn create(&self, new: &NewVolume, maker: Maker<'_>) -> Result<Created> {
        let volume = new.check()?;
        let name = volume.name.clone();
        loop {
            let mut index = self.index();
            let Some(entry) = index.get_mut(&name) else {
                let mut entry = Entry::new(volume, Stage::Making);
                entry.made_for(maker)?;
                let (volume, work) = (entry.volume.clone(), entry.work.clone());
                // Nobody else knows the mutex yet: this waits for nobody.
                let _work = lock(&work);
                index.insert(name, entry);
                drop(index);
                return self.make_indexed(volume, maker);
            };
            if entry.stage == Stage::Ready {
                entry.made_for(maker)?;
                return Ok(Created {
                    volume: entry.volume.clone(),
                    is_new: false,
                });
            }
            // It is being made, or removed: after that it is one or the other.
            let work = entry.work.clone();
            drop(index);
            drop(lock(&work));
        }
    }

    fn make_indexed(&self, volume: Arc<Volume>, maker: Maker<'_>) -> Result<Created> {
        let made = self.make(&volume, maker);
        let mut index = self.index();
        if let Err(error) = made {
            index.remove(&volume.name);
            return Err(error);
        }
        if let Some(entry) = index.get_mut(&volume.name) {
            entry.stage = Stage::Ready;
        }
        Ok(Created {
            volume,
            is_new: true,
        })
    }

    fn make(&self, volume: &Volume, maker: Maker<'_>) -> Result<()> {
        let name = volume.name.as_str();
        self.store.write(|tx| -> Result<()> {
            tx.put(name, volume)?;
            let container = match maker {
                Maker::User => return Ok(()),
                Maker::Container(id) => id.to_owned(),
                Maker::Import => IMPORT.to_owned(),
            };
            Ok(tx.put(name, &Pending { container })?)
        })?;
        self.make_directories(name).inspect_err(|_| {
            let forgotten = self.store.write(|tx| forget(tx, name));
            if let Err(error) = forgotten {
                tracing::warn!(volume = name, "{}", onggi_model::chain(&error));
            }
        })
    }

    /// The directory of a volume and its `_data`, where they are not there.
    pub(crate) fn make_directories(&self, name: &str) -> Result<()> {
        let path = self.directory(name);
        for (path, mode) in [(path.clone(), 0o701), (path.join(DATA), 0o755)] {
            match DirBuilder::new().mode(mode).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::file("mkdir", path)(error)),
            }
            // Not left to the umask.
            let mode = rustix::fs::Mode::from_raw_mode(mode);
            rustix::fs::chmod(&path, mode).map_err(Error::file("chmod", path))?;
        }
        Ok(())
    }

    /// The volume of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn get(&self, name: &str) -> Result<Arc<Volume>> {
        match self.index().get(name) {
            Some(entry) if entry.stage == Stage::Ready => Ok(entry.volume.clone()),
            _ => Err(Error::NotFound(name.to_owned())),
        }
    }

    /// All volumes by name, each with the number of containers that hold it.
    #[must_use]
    pub fn list(&self) -> Vec<(Arc<Volume>, usize)> {
        self.index()
            .values()
            .filter(|entry| entry.stage == Stage::Ready)
            .map(|entry| (entry.volume.clone(), entry.holders.len()))
            .collect()
    }

    /// Where the files of a volume are.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory(name).join(DATA)
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Bytes of the files in it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn usage(&self, name: &str) -> Result<u64> {
        usage::of(&self.path(name))
    }

    /// As [`Volumes::usage`] of several, each measured once, several at a time.
    #[must_use]
    pub fn usages(&self, names: &[String]) -> Vec<Result<u64>> {
        usage::of_several(&names.iter().map(|name| self.path(name)).collect::<Vec<_>>())
    }

    /// The container has the volume among its mounts. Says whether there is such a volume.
    pub fn hold(&self, name: &str, container: &str) -> bool {
        match self.index().get_mut(name) {
            Some(entry) if entry.stage == Stage::Ready => {
                entry.holders.insert(container.to_owned());
                true
            }
            _ => false,
        }
    }

    /// The container has gone.
    pub fn release(&self, container: &str) {
        for entry in self.index().values_mut() {
            entry.holders.remove(container);
            entry.users.remove(container);
        }
    }

    /// A container that holds these volumes goes on record with this change: none of them is provisional any more.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn settle_in<'a>(
        &self,
        tx: &mut WriteTx<'_>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        for name in names {
            tx.delete::<Pending>(name)?;
        }
        Ok(())
    }

    /// Makes the volume usable for a container that is about to run: one with options is mounted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Mount`].
    pub fn mount(&self, name: &str, container: &str) -> Result<()> {
        let (volume, work) = self.work_on(name)?;
        let _work = lock(&work);
        self.mount_if_asked(&volume)?;
        if let Some(entry) = self.index().get_mut(name) {
            entry.users.insert(container.to_owned());
        }
        Ok(())
    }

    /// The container runs with the volume already: it was taken up by this daemon.
    pub fn runs_with(&self, name: &str, container: &str) {
        if let Some(entry) = self.index().get_mut(name) {
            entry.users.insert(container.to_owned());
        }
    }

    /// The container does not run any more; with the last one a volume with options is unmounted.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn unmount(&self, name: &str, container: &str) -> Result<()> {
        let Ok((volume, work)) = self.work_on(name) else {
            return Ok(());
        };
        let _work = lock(&work);
        let unused = match self.index().get_mut(name) {
            Some(entry) => {
                entry.users.remove(container);
                entry.users.is_empty() && entry.guests.is_empty()
            }
            None => false,
        };
        if unused && local::is_mounted_kind(&volume.options) {
            local::unmount_from(&self.path(name))?;
        }
        Ok(())
    }

    /// Fills the volume, or the directory `subpath` in it, if it is empty: `copy` puts the content into the directory it
    /// is given, or says that there is none. What is half-done is never seen.
    ///
    /// # Errors
    /// Those of `copy`; [`Error::Escapes`], [`Error::File`], [`Error::Mount`].
    pub fn fill<E: From<Error>>(
        &self,
        name: &str,
        subpath: &str,
        copy: impl FnOnce(&Path) -> Result<bool, E>,
    ) -> Result<(), E> {
        let (volume, work) = self.work_on(name)?;
        let _work = lock(&work);
        let path = self.path(name);
        let mounted = local::is_mounted_kind(&volume.options);
        let in_use = self
            .index()
            .get(name)
            .is_some_and(|entry| !entry.users.is_empty());
        let mount_now = mounted && !local::is_mounted(&path);
        self.mount_if_asked(&volume)?;
        let place = match (mounted, in_use) {
            (true, _) => fill::Place::Foreign,
            (false, true) => fill::Place::Shared,
            (false, false) => fill::Place::Own,
        };
        let filled = fill::fill(&self.directory(name), subpath, place, copy);
        if mount_now && let Err(error) = local::unmount_from(&path) {
            tracing::warn!(volume = name, "{}", onggi_model::chain(&error));
        }
        filled
    }

    /// Removes a volume that no container holds.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InUse`], [`Error::File`], [`Error::Store`].
    pub fn remove(&self, name: &str) -> Result<()> {
        let doomed = self.doom([name], None, 0)?;
        self.store
            .write(|tx| -> Result<()> { doomed.forget_in(tx) })?;
        doomed.done();
        Ok(())
    }

    /// The first half of the removal of a container with its anonymous volumes: those of `names` that nobody else holds.
    /// Put [`Doomed::forget_in`] into the change that removes the container, and call [`Doomed::done`] after it; dropped
    /// without that, the volumes come back.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn doom_unheld<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        container: &str,
    ) -> Result<Doomed<'_>> {
        self.doom(names, Some(container), 0)
    }

    /// `own` guests are no reason to keep it.
    pub(crate) fn doom<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        container: Option<&str>,
        own: usize,
    ) -> Result<Doomed<'_>> {
        let mut doomed = Doomed {
            volumes: self,
            names: Vec::new(),
            is_done: false,
        };
        for name in names {
            let (volume, work) = {
                let mut index = self.index();
                let entry = match index.get_mut(name) {
                    Some(entry) if entry.stage == Stage::Ready => entry,
                    _ if container.is_some() => continue,
                    _ => return Err(Error::NotFound(name.to_owned())),
                };
                match entry.unused("remove", container, own) {
                    Ok(()) => {}
                    Err(_) if container.is_some() => continue,
                    Err(error) => return Err(error),
                }
                entry.stage = Stage::Removing;
                (entry.volume.clone(), entry.work.clone())
            };
            doomed.names.push(name.to_owned());
            let _work = lock(&work);
            let path = self.path(name);
            if local::is_mounted_kind(&volume.options) && local::is_mounted(&path) {
                local::unmount_from(&path)?;
            }
            let aside = self.aside(name);
            match std::fs::rename(self.directory(name), &aside) {
                Ok(()) => {}
                // Somebody has cleaned up by hand.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::file("rename", self.directory(name))(error)),
            }
        }
        if !doomed.names.is_empty() {
            // The catalogue must not forget what the disk would bring back.
            self.sync()?;
        }
        Ok(doomed)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        let root = std::fs::File::open(&self.root).map_err(Error::file("open", &self.root))?;
        root.sync_all().map_err(Error::file("sync", &self.root))
    }

    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.root.join(aside(name))
    }

    pub(crate) fn work_on(&self, name: &str) -> Result<(Arc<Volume>, Arc<Mutex<()>>)> {
        match self.index().get(name) {
            Some(entry) if entry.stage == Stage::Ready => {
                Ok((entry.volume.clone(), entry.work.clone()))
            }
            _ => Err(Error::NotFound(name.to_owned())),
        }
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes a directory behind; where the volumes are a file system of their own, now.
    pub(crate) fn discard(&self, path: &Path) -> Result<()> {
        match self.store.discard(path) {
            Ok(()) => Ok(()),
            Err(_) => std::fs::remove_dir_all(path).map_err(Error::file("delete", path)),
        }
    }
}

/// Removes what the catalogue knows of a volume.
pub(crate) fn forget(tx: &mut WriteTx<'_>, name: &str) -> Result<()> {
    tx.delete::<Volume>(name)?;
    tx.delete::<Pending>(name)?;
    Ok(())
}

pub(crate) fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Volumes on their way out.
#[must_use]
#[derive(Debug)]
pub struct Doomed<'a> {
    volumes: &'a Volumes,
    names: Vec<String>,
    is_done: bool,
}

impl Doomed<'_> {
    /// Which they are.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Takes them out of the catalogue.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget_in(&self, tx: &mut WriteTx<'_>) -> Result<()> {
        self.names.iter().try_for_each(|name| forget(tx, name))
    }

    /// The change is on disk: deletes their files behind.
    pub fn done(mut self) {
        self.is_done = true;
        for name in &self.names {
            if let Err(error) = self.volumes.discard(&self.volumes.aside(name)) {
                // The next start finds it aside and unknown, and deletes it.
                tracing::warn!(volume = name, "{}", onggi_model::chain(&error));
            }
            self.volumes.index().remove(name);
        }
    }
}

impl Drop for Doomed<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        for name in &self.names {
            let (aside, directory) = (self.volumes.aside(name), self.volumes.directory(name));
            if aside.exists()
                && let Err(error) = std::fs::rename(&aside, &directory)
            {
                tracing::warn!(volume = name, "it comes back with the next start: {error}");
            }
            if let Some(entry) = self.volumes.index().get_mut(name) {
                entry.stage = Stage::Ready;
            }
        }
    }
}
