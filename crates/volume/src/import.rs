//! Files of a volume handed out and brought in as a whole: export and import.
//!
//! What comes in is put together beside the volume's files, where no container sees it, and made its content in one
//! step: a rename where nobody runs with the volume, else a move of what lies at the top that is carried on after a kill.
//! On file systems of others it is put together there, as nothing can be moved across.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, fchmod, mkdirat, renameat, unlinkat};
use rustix::io::Errno;

use crate::record::Pending;
use crate::volumes::{Stage, lock};
use crate::{Created, Error, Maker, NewVolume, Result, Volume, Volumes, fill, local, usage};

/// The guest that brings files in.
pub(crate) const IMPORT: &str = "import";
/// What is being put together.
pub(crate) const STAGED: &str = ".import";
/// What is whole and on its way to its place.
pub(crate) const WHOLE: &str = ".import-whole";
/// The same on a file system of others, at its root: no files of the volume's users.
pub const FOREIGN: [&str; 2] = [".onggi-import", ".onggi-import-whole"];

impl Volumes {
    /// The files of a volume for somebody who is no container: it is mounted, and stays, until [`Volumes::give_back`].
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Mount`], [`Error::File`].
    pub fn lend(&self, name: &str, guest: &'static str) -> Result<OwnedFd> {
        let (volume, work) = match self.index().get_mut(name) {
            Some(entry) if entry.stage == Stage::Ready => {
                entry.guests.push(guest);
                (entry.volume.clone(), entry.work.clone())
            }
            _ => return Err(Error::NotFound(name.to_owned())),
        };
        let opened = {
            let _work = lock(&work);
            self.open_data(&volume)
        };
        opened.inspect_err(|_| self.give_back(name, guest))
    }

    /// The guest has done.
    pub fn give_back(&self, name: &str, guest: &'static str) {
        let Ok((volume, work)) = self.work_on(name) else {
            return;
        };
        let _work = lock(&work);
        let unused = match self.index().get_mut(name) {
            Some(entry) => {
                if let Some(at) = entry.guests.iter().position(|one| *one == guest) {
                    entry.guests.swap_remove(at);
                }
                entry.users.is_empty() && entry.guests.is_empty()
            }
            None => false,
        };
        if unused
            && local::is_mounted_kind(&volume.options)
            && let Err(error) = local::unmount_from(&self.path(name))
        {
            tracing::warn!(volume = name, "{}", onggi_model::chain(&error));
        }
    }

    /// Makes the content of a volume that is empty or not there yet: `unpack` puts it into the directory it is given. It
    /// is all there or nothing of it; a volume that was not there before goes again when it fails.
    ///
    /// # Errors
    /// Those of `unpack`; [`Error::NotEmpty`], [`Error::Busy`], [`Error::Forgets`] and those of [`Volumes::create`].
    pub fn import<E: From<Error>>(
        &self,
        new: &NewVolume,
        unpack: impl FnOnce(BorrowedFd<'_>) -> Result<(), E>,
    ) -> Result<Created, E> {
        let created = self.create(new, Maker::Import)?;
        let name = created.volume.name.as_str();
        let imported = self.import_into(&created.volume, unpack);
        if imported.is_err() && created.is_new {
            self.abandon(name);
        }
        self.give_back(name, IMPORT);
        imported.map(|()| created)
    }

    fn import_into<E: From<Error>>(
        &self,
        volume: &Arc<Volume>,
        unpack: impl FnOnce(BorrowedFd<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = volume.name.as_str();
        let (_, work) = self.work_on(name)?;
        let foreign = local::is_mounted_kind(&volume.options);
        let staged_name = if foreign { FOREIGN[0] } else { STAGED };
        let (parent, staged) = {
            let _work = lock(&work);
            let forgets = volume.options.get("type").is_some_and(|t| t == "tmpfs");
            if forgets && !self.is_in_use(name) {
                return Err(Error::Forgets(name.to_owned()).into());
            }
            let data = self.open_data(volume)?;
            self.refuse_full(volume, &data)?;
            let directory = self.directory(name);
            let parent = match foreign {
                true => data,
                false => usage::open(CWD, &directory).map_err(Error::file("open", &directory))?,
            };
            let staged =
                stage(&parent, staged_name).map_err(Error::file("mkdir", self.path(name)))?;
            (parent, staged)
        };
        // Without the lock: who sends the files may take all day, and containers start meanwhile.
        let done = unpack(staged.as_fd()).and_then(|()| {
            rustix::fs::syncfs(&staged).map_err(Error::file("sync", self.path(name)))?;
            let _work = lock(&work);
            let data = self.path(name);
            let target = usage::open(CWD, &data).map_err(Error::file("open", &data))?;
            self.refuse_full(volume, &target)?;
            let filed = Error::file("fill", &data);
            if foreign {
                renameat(&parent, FOREIGN[0], &parent, FOREIGN[1])
                    .and_then(|()| fill::move_up(&parent, FOREIGN[1], &target))
                    .map_err(filed)?;
            } else if self.is_in_use(name) {
                renameat(&parent, STAGED, &parent, WHOLE)
                    .and_then(|()| fill::move_up(&parent, WHOLE, &target))
                    .map_err(filed)?;
            } else {
                // It replaces an empty directory at once, and no other.
                renameat(&parent, STAGED, &parent, crate::volumes::DATA).map_err(filed)?;
            }
            rustix::fs::fsync(&parent).map_err(Error::file("sync", &data))?;
            self.store
                .write(|tx| tx.delete::<Pending>(name).map(drop).map_err(Error::from))?;
            Ok(())
        });
        if done.is_err() {
            clear(&parent, staged_name);
        }
        done
    }

    /// The directory of the volume's files, mounted where it has options.
    pub(crate) fn open_data(&self, volume: &Volume) -> Result<OwnedFd> {
        let path = self.path(&volume.name);
        self.mount_if_asked(volume)?;
        usage::open(CWD, &path).map_err(Error::file("open", path))
    }

    /// Mounts the file system of a volume with options where it is not mounted yet, and carries on what an import that
    /// was killed had begun to move.
    pub(crate) fn mount_if_asked(&self, volume: &Volume) -> Result<()> {
        let path = self.path(&volume.name);
        if !local::is_mounted_kind(&volume.options) || local::is_mounted(&path) {
            return Ok(());
        }
        local::mount(&volume.options, &path)?;
        // What cannot be carried on is no reason not to run.
        if let Ok(data) = usage::open(CWD, &path)
            && let Err(errno) = carry_on(&data, FOREIGN[1], &data)
        {
            tracing::warn!(
                volume = volume.name,
                "what was imported is not all there: {errno}"
            );
        }
        Ok(())
    }

    /// What a killed import has left of a volume without options: what is whole goes to its place, the rest goes.
    pub(crate) fn finish_import(&self, name: &str) -> Result<()> {
        let directory = self.directory(name);
        let opened = || -> Result<(), Errno> {
            let parent = usage::open(CWD, &directory)?;
            let target = usage::open(parent.as_fd(), crate::volumes::DATA)?;
            carry_on(&parent, WHOLE, &target)
        };
        opened().map_err(Error::file("fill", &directory))?;
        let staged = directory.join(STAGED);
        match staged.symlink_metadata().is_ok() {
            true => self.discard(&staged),
            false => Ok(()),
        }
    }

    fn is_in_use(&self, name: &str) -> bool {
        let index = self.index();
        index.get(name).is_some_and(|entry| !entry.users.is_empty())
    }

    fn refuse_full(&self, volume: &Volume, data: &OwnedFd) -> Result<()> {
        let own: &[&str] = match local::is_mounted_kind(&volume.options) {
            true => &FOREIGN,
            false => &[],
        };
        match fill::is_empty_but(data, own) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::NotEmpty(volume.name.clone())),
            Err(errno) => Err(Error::file("read", self.path(&volume.name))(errno)),
        }
    }

    fn abandon(&self, name: &str) {
        let removed = self.doom([name], None, 1).and_then(|doomed| {
            self.store
                .write(|tx| -> Result<()> { doomed.forget_in(tx) })?;
            doomed.done();
            Ok(())
        });
        // A container may have taken it meanwhile: then it stays.
        if let Err(error) = removed {
            tracing::warn!(volume = name, "{}", onggi_model::chain(&error));
        }
    }
}

/// An empty directory to put things together in.
fn stage(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    clear(parent, name);
    mkdirat(parent, name, Mode::RWXU)?;
    let staged = usage::open(parent.as_fd(), name)?;
    // As that of a new volume, unless the archive knows better; not left to the umask.
    fchmod(&staged, Mode::from_raw_mode(0o755))?;
    Ok(staged)
}

/// Removes what may be at `name`.
fn clear(parent: &OwnedFd, name: &str) {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return,
        Err(_) => {}
    }
    // The descriptor, not a name: whatever becomes of that.
    let path = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name);
    if let Err(error) = std::fs::remove_dir_all(&path) {
        tracing::warn!(name, "left to the next start: {error}");
    }
}

/// Moves what an import had whole at `name` to where it belongs.
fn carry_on(parent: &OwnedFd, name: &str, target: &OwnedFd) -> Result<(), Errno> {
    match fill::move_up(parent, name, target) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use onggi_store::Store;

    use super::*;

    fn write(into: BorrowedFd<'_>) -> Result<()> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", into.as_raw_fd()));
        std::fs::write(path.join("file"), "new").unwrap();
        let mode = std::fs::Permissions::from_mode(0o1750);
        std::fs::set_permissions(path.join("."), mode).unwrap();
        Ok(())
    }

    #[test]
    fn it_is_all_there_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).unwrap();
        let root = folder.path().join("volumes");
        let volumes = Volumes::open(&root, &store).unwrap();
        let refused = volumes.import(&NewVolume::named("new"), |into| {
            write(into)?;
            Err(Error::Escapes)
        });
        assert!(refused.is_err() && volumes.list().is_empty() && !root.join("new").exists());
        assert!(
            volumes
                .import(&NewVolume::named("new"), write)
                .unwrap()
                .is_new
        );
        let mode = volumes.path("new").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1750);
        let full = volumes.import(&NewVolume::named("new"), write).unwrap_err();
        assert!(matches!(full, Error::NotEmpty(_)), "{full}");
        // With somebody who runs with it, and in its place.
        volumes
            .create(&NewVolume::named("used"), Maker::User)
            .unwrap();
        volumes.hold("used", "c1");
        volumes.mount("used", "c1").unwrap();
        let held = std::fs::File::open(volumes.path("used")).unwrap();
        volumes
            .import(&NewVolume::named("used"), |into| {
                let busy = volumes
                    .import(&NewVolume::named("used"), write)
                    .unwrap_err();
                assert!(matches!(busy, Error::Busy(_)), "{busy}");
                assert!(volumes.remove("used").is_err());
                write(into)
            })
            .unwrap();
        assert_eq!(
            held.metadata().unwrap().permissions().mode() & 0o7777,
            0o1750
        );
        assert!(volumes.path("used").join("file").exists());
        assert_eq!(volumes.check().unwrap(), []);
    }

    /// Stopped by force: before everything is there, it never was; after that, it is carried on.
    #[test]
    fn a_start_carries_on_or_throws_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).unwrap();
        let root = folder.path().join("volumes");
        let volumes = Volumes::open(&root, &store).unwrap();
        volumes
            .create(&NewVolume::named("half"), Maker::User)
            .unwrap();
        volumes
            .create(&NewVolume::named("whole"), Maker::User)
            .unwrap();
        volumes
            .create(&NewVolume::named("new"), Maker::Import)
            .unwrap();
        drop(volumes);
        for staged in ["half/.import", "whole/.import-whole", "new/.import"] {
            std::fs::create_dir_all(root.join(staged).join("sub")).unwrap();
            std::fs::write(root.join(staged).join("file"), "new").unwrap();
        }
        let volumes = Volumes::open(&root, &store).unwrap();
        let names: Vec<String> = volumes.list().iter().map(|(v, _)| v.name.clone()).collect();
        assert_eq!(names, ["half", "whole"]);
        assert_eq!(
            std::fs::read_dir(root.join("half/_data")).unwrap().count(),
            0
        );
        assert_eq!(
            std::fs::read_dir(root.join("whole/_data")).unwrap().count(),
            2
        );
        assert_eq!(volumes.check().unwrap(), []);
        assert!(!root.join("new").exists());
    }

    #[test]
    fn what_is_lent_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).unwrap();
        let volumes = Volumes::open(&folder.path().join("volumes"), &store).unwrap();
        volumes
            .create(&NewVolume::named("one"), Maker::User)
            .unwrap();
        assert!(volumes.lend("none", "export").is_err());
        let (_first, _second) = (
            volumes.lend("one", "export").unwrap(),
            volumes.lend("one", "export").unwrap(),
        );
        volumes.give_back("one", "export");
        let error = volumes.remove("one").unwrap_err().to_string();
        assert_eq!(error, "remove one: volume is in use - [export]");
        volumes.give_back("one", "export");
        volumes.remove("one").unwrap();
    }
}
