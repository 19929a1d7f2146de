//! Another name for a volume that nobody uses.
//!
//! What is about to happen is written down first, the directory moves, and the catalogue follows in one change; after a
//! kill in between the next start takes the directory back ([`Volumes::undo_moves`]).

use std::sync::Arc;

use onggi_model::volume_spec::{bad_name, is_volume_name};

use crate::record::Moving;
use crate::volumes::{Entry, Stage, lock};
use crate::{ANONYMOUS_LABEL, Error, Result, Volume, Volumes, local};

impl Volumes {
    /// Gives a volume that no container holds another name. One that had its name from us is from then on as any that was
    /// named by its user.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InUse`], [`Error::Exists`], [`Error::Name`]; [`Error::File`], [`Error::Store`].
    pub fn rename(&self, name: &str, to: &str) -> Result<Arc<Volume>> {
        if !is_volume_name(to) {
            return Err(bad_name(to).into());
        }
        let mut index = self.index();
        let entry = match index.get(name) {
            Some(entry) if entry.stage == Stage::Ready => entry,
            _ => return Err(Error::NotFound(name.to_owned())),
        };
        entry.unused("rename", None, 0)?;
        if index.contains_key(to) {
            let (name, to) = (name.to_owned(), to.to_owned());
            return Err(Error::Exists { name, to });
        }
        let (old, work) = (entry.volume.clone(), entry.work.clone());
        let mut new = Volume::clone(&old);
        to.clone_into(&mut new.name);
        new.labels.remove(ANONYMOUS_LABEL);
        let target = Entry::new(new, Stage::Making);
        let (new, target_work) = (target.volume.clone(), target.work.clone());
        // Nobody else knows the mutex yet: this waits for nobody.
        let _target_work = lock(&target_work);
        index.insert(to.to_owned(), target);
        if let Some(entry) = index.get_mut(name) {
            entry.stage = Stage::Removing;
        }
        drop(index);
        let _work = lock(&work);
        let moved = self.move_to(&old, &new);
        let (stays, goes) = match moved {
            Ok(()) => (to, name),
            Err(_) => (name, to),
        };
        let mut index = self.index();
        index.remove(goes);
        if let Some(entry) = index.get_mut(stays) {
            entry.stage = Stage::Ready;
        }
        moved.map(|()| new)
    }

    fn move_to(&self, old: &Volume, new: &Volume) -> Result<()> {
        if local::is_mounted_kind(&old.options) && local::is_mounted(&self.path(&old.name)) {
            local::unmount_from(&self.path(&old.name))?;
        }
        let to = new.name.clone();
        self.store
            .write(|tx| tx.put(&old.name, &Moving { to }).map_err(Error::from))?;
        let (from, to) = (self.directory(&old.name), self.directory(&new.name));
        let moved = || -> Result<()> {
            if to.exists() {
                let (name, to) = (old.name.clone(), new.name.clone());
                return Err(Error::Exists { name, to });
            }
            std::fs::rename(&from, &to).map_err(Error::file("rename", &from))?;
            self.sync()?;
            self.store.write(|tx| -> Result<()> {
                tx.delete::<Volume>(&old.name)?;
                tx.delete::<Moving>(&old.name)?;
                Ok(tx.put(&new.name, new)?)
            })
        };
        moved().inspect_err(|_| {
            if let Err(error) = self.undo_moves(&[(
                old.name.clone(),
                Moving {
                    to: new.name.clone(),
                },
            )]) {
                tracing::warn!(volume = old.name, "{}", onggi_model::chain(&error));
            }
        })
    }

    /// Takes back moves that were begun and not finished.
    pub(crate) fn undo_moves(&self, moves: &[(String, Moving)]) -> Result<()> {
        for (name, Moving { to }) in moves {
            let (from, to) = (self.directory(to), self.directory(name));
            if from.exists() && !to.exists() {
                std::fs::rename(&from, &to).map_err(Error::file("rename", &from))?;
                self.sync()?;
            }
            self.store
                .write(|tx| tx.delete::<Moving>(name).map(drop).map_err(Error::from))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use onggi_store::Store;

    use super::*;
    use crate::{Maker, NewVolume};

    #[test]
    fn files_and_labels_come_along() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).unwrap();
        let root = folder.path().join("volumes");
        let volumes = Volumes::open(&root, &store).unwrap();
        let anonymous = volumes.create(&NewVolume::default(), Maker::User).unwrap();
        let name = anonymous.volume.name.as_str();
        std::fs::write(volumes.path(name).join("file"), "kept").unwrap();
        volumes
            .create(&NewVolume::named("taken"), Maker::User)
            .unwrap();
        volumes
            .create(&NewVolume::named("held"), Maker::User)
            .unwrap();
        assert!(volumes.hold("held", "c1"));
        let refused = |name: &str, to: &str| volumes.rename(name, to).unwrap_err().to_string();
        assert_eq!(refused("none", "free"), "get none: no such volume");
        assert_eq!(
            refused("held", "free"),
            "rename held: volume is in use - [c1]"
        );
        assert_eq!(
            refused("taken", "held"),
            "rename taken: a volume held is already there"
        );
        assert_eq!(
            refused("taken", "taken"),
            "rename taken: a volume taken is already there"
        );
        assert!(refused("taken", "x").contains("too short"));
        std::fs::create_dir_all(root.join("brought")).unwrap();
        assert!(refused("taken", "brought").contains("already there"));
        let renamed = volumes.rename(name, "mine").unwrap();
        assert!(!renamed.is_anonymous() && renamed.created == anonymous.volume.created);
        assert!(volumes.get(name).is_err() && !root.join(name).exists());
        let kept = std::fs::read_to_string(volumes.path("mine").join("file")).unwrap();
        assert_eq!(kept, "kept");
        std::fs::remove_dir_all(root.join("brought")).unwrap();
        assert_eq!(volumes.check().unwrap(), []);
        drop(volumes);
        let volumes = Volumes::open(&root, &store).unwrap();
        let names: Vec<String> = volumes.list().iter().map(|(v, _)| v.name.clone()).collect();
        assert_eq!(names, ["held", "mine", "taken"]);
    }

    #[test]
    fn a_move_that_was_not_finished_has_not_happened() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).unwrap();
        let root = folder.path().join("volumes");
        let volumes = Volumes::open(&root, &store).unwrap();
        for name in ["written", "moved"] {
            volumes
                .create(&NewVolume::named(name), Maker::User)
                .unwrap();
            let to = format!("{name}-2");
            store
                .write(|tx| tx.put(name, &Moving { to: to.clone() }))
                .unwrap();
        }
        std::fs::rename(root.join("moved"), root.join("moved-2")).unwrap();
        drop(volumes);
        let volumes = Volumes::open(&root, &store).unwrap();
        let names: Vec<String> = volumes.list().iter().map(|(v, _)| v.name.clone()).collect();
        assert_eq!(names, ["moved", "written"]);
        assert_eq!(volumes.check().unwrap(), []);
        let left = store.read(|tx| tx.list::<Moving>()).unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}
