//! A root for files alone, of which the catalogue knows nothing: whoever steps on layers to change or read files, and runs
//! nothing there. It goes when it is dropped, or with the next start.

use std::path::{Path, PathBuf};

use onggi_store::ChainId;

use crate::driver::overlay;
use crate::snapshots::LayerDir;
use crate::{Error, Rootfs, Snapshots};

/// The root.
#[derive(Debug)]
pub struct Scratch {
    snapshots: Snapshots,
    directory: LayerDir,
    lower: Vec<PathBuf>,
}

impl Snapshots {
    /// A root on top of `top`, whatever the driver: an overlay, empty but for the attributes of its `/`. The layers must
    /// stay as long: hold a lease.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::TooDeep`], [`Error::File`], [`Error::Store`].
    pub fn scratch(&self, top: Option<&ChainId>) -> Result<Scratch, Error> {
        let mut lower = self.layers(top)?;
        let directory = self.begin_layer()?;
        overlay::bare(&directory.path, &lower)?;
        if lower.is_empty() {
            lower.push(self.empty_layer());
        }
        Ok(Scratch {
            snapshots: self.clone(),
            directory,
            lower,
        })
    }
}

impl Scratch {
    /// Its parts.
    #[must_use]
    pub fn rootfs(&self) -> Rootfs {
        overlay::rootfs(&self.directory.path, self.lower.clone())
    }

    /// Its directory, to mount things onto.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory.path
    }

    /// What was written: a directory as overlayfs has it on top.
    #[must_use]
    pub fn upper(&self) -> PathBuf {
        self.directory.path.join(overlay::UPPER)
    }

    /// What was written, to be a layer itself. Nobody has it mounted any more.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn into_layer(self) -> Result<LayerDir, Error> {
        self.snapshots.stage(&self.upper())
    }
}
