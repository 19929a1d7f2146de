//! Container roots: which layer each container stands on. What is in the directory is `snapshot`'s business.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalogue::{ReadTx, WriteTx, table};
use crate::{ChainId, Error, Store};

/// The root file system of a container as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRecord {
    /// The topmost layer; none for an image without layers.
    pub top: Option<ChainId>,
    /// Name of the snapshot driver that made it.
    pub driver: String,
}

impl Store {
    /// The root of a container.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn root(&self, container: &str) -> Result<Option<RootRecord>, Error> {
        self.inner
            .catalogue
            .reader()?
            .fetch(table::ROOTS, container)
    }

    /// All container roots with the ids of their containers.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn roots(&self) -> Result<Vec<(String, RootRecord)>, Error> {
        self.inner.catalogue.reader()?.fetch_all(table::ROOTS, "")
    }

    /// The directory of a container: `containers/<id>`. It goes, with all in it, when its root is removed, and at open
    /// when no root belongs to it.
    #[must_use]
    pub fn container_path(&self, container: &str) -> PathBuf {
        self.inner.layout.containers.join(container)
    }

    /// A directory of a container is about to be made, before its root is on record: it is no orphan until
    /// [`Store::container_is_settled`].
    pub fn expect_container(&self, container: &str) {
        let path = self.container_path(container);
        self.inner.state().temporary.insert(path);
    }

    /// The root of the container is on record, or its directory is gone.
    pub fn container_is_settled(&self, container: &str) {
        let path = self.container_path(container);
        self.inner.state().not_temporary(&path);
    }

    /// Renames the directory of a container that has no root into the trash.
    pub fn discard_container(&self, container: &str) {
        self.inner.discard(&self.container_path(container));
    }
}

impl ReadTx {
    /// All container roots with the ids of their containers.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn roots(&self) -> Result<Vec<(String, RootRecord)>, Error> {
        self.fetch_all(table::ROOTS, "")
    }
}

impl WriteTx<'_> {
    /// All container roots, with what this change did to them.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn roots(&self) -> Result<Vec<(String, RootRecord)>, Error> {
        self.fetch_all(table::ROOTS)
    }

    /// The root of a container, with what this change did to it.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn root(&self, container: &str) -> Result<Option<RootRecord>, Error> {
        self.fetch(table::ROOTS, container)
    }

    /// Records the root of a container, which holds its topmost layer.
    ///
    /// # Errors
    /// [`Error::RootExists`], [`Error::NoLayer`], [`Error::Catalogue`].
    pub fn put_root(&mut self, container: &str, root: &RootRecord) -> Result<(), Error> {
        if self.root(container)?.is_some() {
            return Err(Error::RootExists(container.to_owned()));
        }
        if let Some(top) = &root.top {
            self.hold_layer(top)?;
        }
        self.store(table::ROOTS, container, root)?;
        self.usage()?.roots += 1;
        self.loose.roots.remove(container);
        Ok(())
    }

    /// Removes the root of a container; its directory is renamed away when the change is committed, and deleted
    /// behind. Says whether there was one.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn remove_root(&mut self, container: &str) -> Result<bool, Error> {
        let Some(root) = self.root(container)? else {
            return Ok(false);
        };
        if let Some(top) = &root.top {
            self.release_layer(top)?;
        }
        self.erase(table::ROOTS, container)?;
        let usage = self.usage()?;
        usage.roots = usage.roots.saturating_sub(1);
        self.loose.roots.insert(container.to_owned());
        Ok(true)
    }
}
