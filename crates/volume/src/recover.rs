//! What an earlier daemon left: the catalogue and the directories are compared, and made to agree.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use onggi_model::Timestamp;
use onggi_model::volume_spec::is_volume_name;
use onggi_store::Store;

use crate::record::{Moving, Pending};
use crate::volumes::{ASIDE, Entry, FILL, Stage, forget};
use crate::{Error, Result, Volume, Volumes, local, volumes};

impl Volumes {
    /// The volumes below `root`, as the catalogue knows them. A directory it does not know becomes a volume if it has a
    /// `_data`: that is how people bring back what they saved.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Store`].
    pub fn open(root: &Path, store: &Store) -> Result<Self> {
        make_root(root)?;
        let volumes = Self {
            root: root.to_owned(),
            store: store.clone(),
            index: Mutex::default(),
        };
        let (known, pending) =
            store.read(|tx| -> Result<_> { Ok((tx.list::<Volume>()?, tx.list::<Pending>()?)) })?;
        let moving = store.read(|tx| -> Result<_> { Ok(tx.list::<Moving>()?) })?;
        volumes.undo_moves(&moving)?;
        let mut known: BTreeMap<String, Volume> = known.into_iter().collect();
        volumes.restore_aside(&known)?;
        volumes.drop_pending(&mut known, &pending)?;
        volumes.adopt(&mut known)?;
        let mut index = volumes.index();
        for (name, volume) in known {
            volumes.make_directories(&name)?;
            let unfinished = volumes.directory(&name).join(FILL);
            if unfinished.exists() {
                volumes.discard(&unfinished)?;
            }
            volumes.finish_import(&name)?;
            index.insert(name, Entry::new(volume, Stage::Ready));
        }
        drop(index);
        Ok(volumes)
    }

    /// Takes away file systems that were mounted for containers that run no more. Call it once it is known who runs.
    pub fn reconcile(&self) {
        let idle: Vec<String> = self
            .index()
            .values()
            .filter(|entry| entry.users.is_empty() && local::is_mounted_kind(&entry.volume.options))
            .map(|entry| entry.volume.name.clone())
            .collect();
        for name in idle {
            if let Err(error) = local::unmount_from(&self.path(&name)) {
                tracing::warn!(volume = name, "{}", onggi_model::chain(&error));
            }
        }
    }

    /// A removal that the catalogue does not know of has not happened; the others are finished.
    fn restore_aside(&self, known: &BTreeMap<String, Volume>) -> Result<()> {
        let mut entries = self.entries()?;
        entries.retain(|entry| entry.starts_with(ASIDE));
        for entry in entries {
            let aside = self.root.join(&entry);
            let name = known.keys().find(|name| volumes::aside(name) == entry);
            match name.map(|name| self.directory(name)) {
                Some(directory) if !directory.exists() => {
                    std::fs::rename(&aside, directory).map_err(Error::file("rename", aside))?;
                }
                _ => self.discard(&aside)?,
            }
        }
        Ok(())
    }

    /// Volumes made for containers that never got on record.
    fn drop_pending(
        &self,
        known: &mut BTreeMap<String, Volume>,
        pending: &[(String, Pending)],
    ) -> Result<()> {
        for (name, Pending { container }) in pending {
            tracing::info!(
                volume = name,
                container,
                "was made for a container that is not there"
            );
            if self.directory(name).exists() {
                let path = self.path(name);
                if local::is_mounted(&path) {
                    local::unmount_from(&path)?;
                }
                self.discard(&self.directory(name))?;
            }
            self.store.write(|tx| forget(tx, name))?;
            known.remove(name);
        }
        Ok(())
    }

    fn adopt(&self, known: &mut BTreeMap<String, Volume>) -> Result<()> {
        for name in self.entries()? {
            let data = self.path(&name);
            if known.contains_key(&name) || !is_volume_name(&name) || !data.is_dir() {
                continue;
            }
            let made = std::fs::metadata(&data).and_then(|data| data.modified());
            let volume = Volume {
                name: name.clone(),
                created: made.map_or_else(|_| Timestamp::now(), Timestamp::from),
                labels: BTreeMap::new(),
                options: BTreeMap::new(),
            };
            tracing::info!(volume = name, "a directory becomes a volume");
            self.store
                .write(|tx| tx.put(&name, &volume).map_err(Error::from))?;
            known.insert(name, volume);
        }
        Ok(())
    }

    pub(crate) fn entries(&self) -> Result<Vec<String>> {
        let failed = || Error::file("list", &self.root);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(failed())? {
            if let Ok(name) = entry.map_err(failed())?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Others may pass, as they must to reach a `_data` that was bound for them, but not look around.
fn make_root(root: &Path) -> Result<()> {
    std::fs::create_dir_all(root).map_err(Error::file("mkdir", root))?;
    let mode = rustix::fs::Mode::from_raw_mode(0o701);
    rustix::fs::chmod(root, mode).map_err(Error::file("chmod", root))
}
