//! Layers being filled, and the roots of containers: made, named, measured, removed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use onggi_model::{ContainerId, Digest};
use onggi_store::{ChainId, LayerRecord, RootRecord, StagedLayer, Store, WriteTx};

use crate::driver::{Driver, native, overlay};
use crate::inherit::{self, make_directory};
use crate::{Error, copy, furnish, usage};

/// The root file systems of one store. Clones are the same.
#[derive(Clone, Debug)]
pub struct Snapshots {
    store: Store,
    driver: Driver,
    /// Held while directories of an overlay are made: who finds them finds them whole.
    making: Arc<Mutex<()>>,
}

/// What the root of a container is made of, as `runtime` mounts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rootfs {
    /// A directory, used as it is.
    Directory(PathBuf),
    /// An overlay to mount inside the container's mount namespace.
    Overlay {
        /// Read-only directories, topmost first; at least one.
        lower: Vec<PathBuf>,
        /// What the container writes.
        upper: PathBuf,
        /// overlayfs's own, empty.
        work: PathBuf,
    },
}

/// A directory that becomes a layer, or is thrown away when this is dropped.
#[derive(Debug)]
pub struct LayerDir {
    staged: StagedLayer,
    /// Where to put the files, in the form overlayfs reads: whiteouts are character devices 0:0, opaque directories
    /// carry `trusted.overlay.opaque`.
    pub path: PathBuf,
}

/// What a filled directory is as a layer.
#[derive(Clone, Debug)]
pub struct LayerCommit<'a> {
    /// The layer below; `None` for the base. It must be committed already.
    pub parent: Option<&'a ChainId>,
    /// Digest of the uncompressed tar.
    pub diff_id: &'a Digest,
    /// Bytes of the files.
    pub size: u64,
    /// Directories that the tar did not name but needed (`archive::Applied::implied`): they take the attributes they
    /// have in the layers below.
    pub implied: &'a [PathBuf],
}

impl Snapshots {
    /// The root file systems of `store`; new ones are made by `driver`, those made by another one go on as they were made.
    #[must_use]
    pub fn open(store: &Store, driver: Driver) -> Snapshots {
        Snapshots {
            store: store.clone(),
            driver,
            making: Arc::default(),
        }
    }

    /// The driver of new roots.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// An empty directory to unpack a layer into.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn begin_layer(&self) -> Result<LayerDir, Error> {
        let staged = self.store.stage_layer()?;
        let path = staged.path().to_path_buf();
        Ok(LayerDir { staged, path })
    }

    /// A directory that is to be a layer, with what is in it.
    pub(crate) fn stage(&self, from: &std::path::Path) -> Result<LayerDir, Error> {
        let staged = self.store.stage_directory(from)?;
        let path = staged.path().to_path_buf();
        Ok(LayerDir { staged, path })
    }

    /// Takes away what a container has written, to be a layer itself. It does not run, and the caller keeps it from being
    /// started; after that it begins anew.
    ///
    /// # Errors
    /// [`Error::NoRoot`]; [`Error::Driver`] for a driver that does not keep apart what is written; [`Error::Store`].
    pub fn take(&self, container: &ContainerId) -> Result<LayerDir, Error> {
        let record = self.record(container)?;
        match driver_of(&record)? {
            Driver::Overlay => {
                let path = self.store.container_path(container.as_str());
                self.stage(&path.join(overlay::UPPER))
            }
            Driver::Native => Err(Error::Driver(record.driver)),
        }
    }

    /// Makes the directory a layer. It is pending, like a blob: put an image (or a root) on it under a lease, which syncs
    /// once for all, or it goes. A layer that is there already wins.
    ///
    /// # Errors
    /// [`Error::Store`]: the parent is not there; [`Error::File`].
    pub fn commit_layer(
        &self,
        layer: LayerDir,
        commit: &LayerCommit<'_>,
    ) -> Result<LayerRecord, Error> {
        self.inherit(&layer, commit.parent, commit.implied)?;
        let record =
            self.store
                .commit_layer(layer.staged, commit.parent, commit.diff_id, commit.size)?;
        Ok(record)
    }

    /// Gives the directories that the tar did not name the attributes they have in `parent` and below, as
    /// [`Snapshots::commit_layer`] does.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::File`], [`Error::Store`].
    pub fn inherit(
        &self,
        layer: &LayerDir,
        parent: Option<&ChainId>,
        implied: &[PathBuf],
    ) -> Result<(), Error> {
        let (Some(parent), false) = (parent, implied.is_empty()) else {
            return Ok(());
        };
        let below = self.layers(Some(parent))?;
        inherit::attributes(&layer.path, &below, implied)
    }

    /// Puts a filled directory into the place of one that is not whole. Nobody may be using that one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn replace_layer(&self, layer: LayerDir, chain_id: &ChainId) -> Result<(), Error> {
        Ok(self.store.replace_layer(chain_id, layer.staged)?)
    }

    /// Whether the layer is there. Under a live lease it then stays until the lease ends.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn has_layer(&self, chain_id: &ChainId) -> Result<bool, Error> {
        Ok(self.store.has_layer(chain_id)?)
    }

    /// Makes the root of a container on top of `top`, in one transaction.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::TooDeep`], [`Error::File`], [`Error::Store`].
    pub fn create(&self, container: &ContainerId, top: Option<&ChainId>) -> Result<(), Error> {
        let root = self.prepare(container, top)?;
        self.store.write(|tx| root.commit(tx))
    }

    /// The first half of [`Snapshots::create`]. Put the second half, [`PreparedRoot::commit`], into the transaction that
    /// writes the container; dropped without it, what was made for it goes. An overlay has no directories before somebody
    /// asks for its parts.
    ///
    /// # Errors
    /// As [`Snapshots::create`].
    pub fn prepare(
        &self,
        container: &ContainerId,
        top: Option<&ChainId>,
    ) -> Result<PreparedRoot, Error> {
        if self.store.root(container.as_str())?.is_some() {
            return Err(onggi_store::Error::RootExists(container.as_str().to_owned()).into());
        }
        let layers = self.layers(top)?;
        let root = PreparedRoot {
            store: self.store.clone(),
            container: container.clone(),
            record: RootRecord {
                top: top.cloned(),
                driver: self.driver.name().to_owned(),
            },
            layers,
        };
        self.store.expect_container(container.as_str());
        match self.driver {
            Driver::Overlay => overlay::check(&root.layers)?,
            Driver::Native => root.make()?,
        }
        Ok(root)
    }

    /// The parts of a container's root. Directories that are not there yet, or that a power cut took, are made, empty.
    ///
    /// # Errors
    /// [`Error::NoRoot`], [`Error::NoLayer`], [`Error::File`], [`Error::Store`].
    pub fn rootfs(&self, container: &ContainerId) -> Result<Rootfs, Error> {
        let record = self.record(container)?;
        let path = self.store.container_path(container.as_str());
        let layers = self.layers(record.top.as_ref())?;
        match driver_of(&record)? {
            Driver::Overlay => {
                let making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
                if !path.join(overlay::UPPER).is_dir() {
                    make_directory(&path, 0o700)?;
                    overlay::create(&path, &layers)?;
                    // Removed meanwhile: nobody would ever remove these.
                    if let Err(gone) = self.record(container) {
                        self.store.discard_container(container.as_str());
                        return Err(gone);
                    }
                }
                drop(making);
                let lower = match layers.is_empty() {
                    true => vec![self.store.empty_layer_path()],
                    false => layers,
                };
                Ok(overlay::rootfs(&path, lower))
            }
            Driver::Native => {
                if !path.join(native::ROOT).is_dir() {
                    make_directory(&path, 0o700)?;
                    native::create(&path, &layers)?;
                }
                Ok(native::rootfs(&path))
            }
        }
    }

    /// Removes the root of a container with its whole directory: one transaction, a rename, and the rest behind. Says
    /// whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove(&self, container: &ContainerId) -> Result<bool, Error> {
        self.store.write(|tx| self.remove_in(tx, container))
    }

    /// As [`Snapshots::remove`], inside the transaction that removes the container.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove_in(&self, tx: &mut WriteTx<'_>, container: &ContainerId) -> Result<bool, Error> {
        Ok(tx.remove_root(container.as_str())?)
    }

    /// The directory of a container: `upper`, `work`, and whatever the engine keeps beside them.
    #[must_use]
    pub fn container_path(&self, container: &ContainerId) -> PathBuf {
        self.store.container_path(container.as_str())
    }

    /// Bytes of the files a container has written (Docker's `SizeRw`); looked up file by file.
    ///
    /// # Errors
    /// [`Error::NoRoot`], [`Error::File`], [`Error::Store`].
    pub fn usage(&self, container: &ContainerId) -> Result<u64, Error> {
        let record = self.record(container)?;
        let path = self.store.container_path(container.as_str());
        match driver_of(&record)? {
            Driver::Overlay => match path.join(overlay::UPPER) {
                upper if upper.is_dir() => {
                    Ok(usage::of(&upper)?.saturating_sub(furnish::weight(&upper)))
                }
                _ => Ok(0),
            },
            Driver::Native => usage::of(&path.join(native::ROOT)),
        }
    }

    /// Deletes what was removed, now and on this thread; see also `onggi_store::Sweeper`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn sweep(&self) -> Result<(), Error> {
        Ok(self.store.sweep()?)
    }

    fn record(&self, container: &ContainerId) -> Result<RootRecord, Error> {
        self.store
            .root(container.as_str())?
            .ok_or_else(|| Error::NoRoot(container.as_str().to_owned()))
    }

    /// A directory that is always empty.
    pub(crate) fn empty_layer(&self) -> PathBuf {
        self.store.empty_layer_path()
    }

    /// The directories of a layer and all below it, topmost first.
    pub(crate) fn layers(&self, top: Option<&ChainId>) -> Result<Vec<PathBuf>, Error> {
        let mut paths = Vec::new();
        let mut next = top.cloned();
        while let Some(chain_id) = next {
            let layer = self
                .store
                .layer(&chain_id)?
                .ok_or_else(|| Error::NoLayer(chain_id.clone()))?;
            paths.push(self.store.layer_path(&layer));
            next = layer.parent;
        }
        Ok(paths)
    }
}

/// A container's root before the catalogue knows of it. When this is dropped and the catalogue does not know it, its
/// directories go.
#[derive(Debug)]
pub struct PreparedRoot {
    store: Store,
    container: ContainerId,
    record: RootRecord,
    layers: Vec<PathBuf>,
}

impl PreparedRoot {
    fn make(&self) -> Result<(), Error> {
        let path = self.path();
        make_directory(&path, 0o700)?;
        match driver_of(&self.record)? {
            Driver::Overlay => overlay::create(&path, &self.layers),
            Driver::Native => native::create(&path, &self.layers),
        }
    }

    /// Records the root in a transaction. Drop this after the transaction ended, not before.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn commit(&self, tx: &mut WriteTx<'_>) -> Result<(), Error> {
        Ok(tx.put_root(self.container.as_str(), &self.record)?)
    }

    /// Puts what a container of another engine wrote over the same layers into the root: a directory as overlayfs has it
    /// on top. Call [`Store::flush`] before the transaction.
    ///
    /// # Errors
    /// [`Error::Redirected`], [`Error::File`].
    pub fn take(&self, upper: &std::path::Path) -> Result<(), Error> {
        match driver_of(&self.record)? {
            Driver::Overlay => {
                self.make()?;
                copy::tree(upper, &self.path().join(overlay::UPPER), copy::Marks::Kept)
            }
            Driver::Native => copy::layer(upper, &self.path().join(native::ROOT)),
        }
    }

    /// The directory of the container, for what the engine keeps beside the root.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.store.container_path(self.container.as_str())
    }
}

impl Drop for PreparedRoot {
    fn drop(&mut self) {
        match self.store.root(self.container.as_str()) {
            Ok(Some(_)) => {}
            Ok(None) => self.store.discard_container(self.container.as_str()),
            Err(error) => {
                tracing::warn!(%error, "a container's directory is left to the next start")
            }
        }
        self.store.container_is_settled(self.container.as_str());
    }
}

/// Copies a tree with all there is to it, links and attributes, into a directory that is there. Links out of the tree are
/// copied as links.
///
/// # Errors
/// [`Error::File`].
pub fn copy_tree(from: &std::path::Path, to: &std::path::Path) -> Result<(), Error> {
    copy::tree(from, to, copy::Marks::Literal)
}

fn driver_of(record: &RootRecord) -> Result<Driver, Error> {
    Driver::by_name(&record.driver).ok_or_else(|| Error::Driver(record.driver.clone()))
}
