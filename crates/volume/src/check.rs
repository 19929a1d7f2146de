//! Proving the volumes: every record has its directory, every directory its record, and nothing half-done lies about.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use onggi_model::Timestamp;
use onggi_model::volume_spec::is_volume_name;

use crate::import::{IMPORT, STAGED, WHOLE};
use crate::volumes::{ASIDE, DATA, Entry, FILL, Stage};
use crate::{Error, Result, Volume, Volumes, local, volumes};

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A directory with the files of a volume that nobody knows.
    Unknown(String),
    /// A volume whose directory is not there.
    Missing(String),
    /// A volume that is not in the catalogue.
    Unrecorded(String),
    /// A record of a volume that the daemon does not have.
    Stale(String),
    /// Something that belongs to no volume.
    Stray(PathBuf),
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::Unknown(name) => {
                write!(formatter, "the directory of volume {name} has no record")
            }
            Defect::Missing(name) => write!(formatter, "the directory of volume {name} is missing"),
            Defect::Unrecorded(name) => write!(formatter, "volume {name} is not in the catalogue"),
            Defect::Stale(name) => write!(formatter, "the catalogue has a volume {name} too many"),
            Defect::Stray(path) => write!(formatter, "{} belongs to no volume", path.display()),
        }
    }
}

impl Volumes {
    /// Compares catalogue, memory and disk. Nobody's files are looked into.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Store`].
    pub fn check(&self) -> Result<Vec<Defect>> {
        let index = self.index();
        let records = self
            .store
            .read(|tx| -> Result<_> { Ok(tx.list::<Volume>()?) })?;
        let records: BTreeSet<String> = records.into_iter().map(|(name, _)| name).collect();
        let mut defects = Vec::new();
        for (name, entry) in index
            .iter()
            .filter(|(_, entry)| entry.stage == Stage::Ready)
        {
            if !records.contains(name) {
                defects.push(Defect::Unrecorded(name.clone()));
            }
            // What is mounted on it may be far away, and not answer.
            let place = match local::is_mounted_kind(&entry.volume.options) {
                true => self.directory(name),
                false => self.path(name),
            };
            if !place.is_dir() {
                defects.push(Defect::Missing(name.clone()));
            }
            let begun = [
                (FILL, entry.work.try_lock().is_ok()),
                (STAGED, !entry.guests.contains(&IMPORT)),
                (WHOLE, !entry.guests.contains(&IMPORT)),
            ];
            for (name_in_it, is_idle) in begun {
                let path = self.directory(name).join(name_in_it);
                if is_idle && path.symlink_metadata().is_ok() {
                    defects.push(Defect::Stray(path));
                }
            }
        }
        let stale = records.iter().filter(|name| !index.contains_key(*name));
        defects.extend(stale.cloned().map(Defect::Stale));
        for name in self.entries()? {
            let aside = || {
                index
                    .iter()
                    .find(|(volume, _)| volumes::aside(volume) == name)
            };
            let (entry, is_aside) = match name.starts_with(ASIDE) {
                true => (aside().map(|(_, entry)| entry), true),
                false => (index.get(&name), false),
            };
            match entry.map(|entry| entry.stage) {
                Some(Stage::Making | Stage::Removing) => {}
                Some(Stage::Ready) if !is_aside => {}
                None if is_volume_name(&name) && self.path(&name).is_dir() => {
                    defects.push(Defect::Unknown(name));
                }
                _ => defects.push(Defect::Stray(self.root.join(name))),
            }
        }
        Ok(defects)
    }

    /// Puts it right, if it is still so: says what was done. An unknown directory becomes a volume, as at a start; a
    /// missing one is made, empty.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Store`].
    pub fn repair(&self, defect: &Defect) -> Result<Option<String>> {
        if !self.check()?.contains(defect) {
            return Ok(None);
        }
        Ok(Some(match defect {
            Defect::Unknown(name) => {
                let data = self.path(name);
                let made = std::fs::metadata(&data).and_then(|data| data.modified());
                let volume = Volume {
                    name: name.clone(),
                    created: made.map_or_else(|_| Timestamp::now(), Timestamp::from),
                    labels: Default::default(),
                    options: Default::default(),
                };
                self.record(&volume)?;
                let entry = Entry::new(volume, Stage::Ready);
                self.index().entry(name.clone()).or_insert(entry);
                format!("took {} as volume {name}", data.display())
            }
            Defect::Missing(name) => {
                self.make_directories(name)?;
                format!(
                    "made {}, which is empty",
                    self.directory(name).join(DATA).display()
                )
            }
            Defect::Unrecorded(name) => {
                let volume = self.get(name)?;
                self.record(&volume)?;
                format!("wrote volume {name} into the catalogue")
            }
            Defect::Stale(name) => {
                self.store.write(|tx| crate::volumes::forget(tx, name))?;
                format!("removed the record of volume {name}")
            }
            Defect::Stray(path) => {
                self.discard(path)?;
                format!("removed {}", path.display())
            }
        }))
    }

    fn record(&self, volume: &Volume) -> Result<()> {
        self.store
            .write(|tx| tx.put(&volume.name, volume).map_err(Error::from))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use onggi_store::Store;

    use super::*;
    use crate::{Maker, NewVolume};

    #[test]
    fn what_does_not_agree_is_found_and_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).unwrap();
        let root = folder.path().join("data/volumes");
        let volumes = Volumes::open(&root, &store).unwrap();
        for name in ["kept", "missing", "unrecorded"] {
            volumes
                .create(&NewVolume::named(name), Maker::User)
                .unwrap();
        }
        assert_eq!(volumes.check().unwrap(), []);
        std::fs::remove_dir_all(root.join("missing")).unwrap();
        store.write(|tx| tx.delete::<Volume>("unrecorded")).unwrap();
        let stale = Volume {
            name: "stale".to_owned(),
            ..(*volumes.get("kept").unwrap()).clone()
        };
        store.write(|tx| tx.put("stale", &stale)).unwrap();
        std::fs::create_dir_all(root.join("brought/_data")).unwrap();
        std::fs::create_dir_all(root.join(".removing-kept")).unwrap();
        std::fs::create_dir_all(root.join("kept/.fill")).unwrap();
        std::fs::create_dir_all(root.join("kept/.import")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        let mut found = volumes.check().unwrap();
        let stray = |name: &str| Defect::Stray(root.join(name));
        let mut expected = vec![
            Defect::Unknown("brought".to_owned()),
            Defect::Missing("missing".to_owned()),
            Defect::Unrecorded("unrecorded".to_owned()),
            Defect::Stale("stale".to_owned()),
            stray(".removing-kept"),
            stray("kept/.fill"),
            stray("kept/.import"),
            stray("file"),
        ];
        let order = |defect: &Defect| defect.to_string();
        found.sort_by_key(order);
        expected.sort_by_key(order);
        assert_eq!(found, expected);
        for defect in &found {
            assert!(volumes.repair(defect).unwrap().is_some(), "{defect}");
            assert_eq!(volumes.repair(defect).unwrap(), None, "{defect}");
        }
        assert_eq!(volumes.check().unwrap(), []);
        assert_eq!(volumes.list().len(), 4);
        drop(volumes);
        let volumes = Volumes::open(&root, &store).unwrap();
        assert_eq!(volumes.list().len(), 4);
    }
}
