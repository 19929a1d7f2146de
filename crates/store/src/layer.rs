//! Layers: unpacked, immutable directories named by the chain of diffs that leads to them.
//!
//! What is in such a directory is `snapshot`'s and `archive`'s business. A layer holds its parent; images and container
//! roots hold their topmost layer.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use onggi_model::Digest;
use serde::{Deserialize, Serialize};

use crate::catalogue::{WriteTx, table};
use crate::{Error, Store};

/// The name of a layer together with all layers below it, as the OCI image specification computes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(Digest);

impl ChainId {
    /// The chain ID of a diff on top of `parent`, or on top of nothing.
    #[must_use]
    pub fn new(parent: Option<&ChainId>, diff_id: &Digest) -> ChainId {
        let Some(parent) = parent else {
            return ChainId(diff_id.clone());
        };
        let hash = digest(&SHA256, format!("{parent} {diff_id}").as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        ChainId(Digest::sha256(bytes))
    }

    /// The chain IDs of all layers of an image, base first.
    #[must_use]
    pub fn chain(diff_ids: &[Digest]) -> Vec<ChainId> {
        let mut chain: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
        for diff_id in diff_ids {
            chain.push(ChainId::new(chain.last(), diff_id));
        }
        chain
    }

    /// As a digest, for showing to users.
    #[must_use]
    pub fn as_digest(&self) -> &Digest {
        &self.0
    }
}

impl From<Digest> for ChainId {
    fn from(digest: Digest) -> ChainId {
        ChainId(digest)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// A layer as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Name of the layer with all below it.
    pub chain_id: ChainId,
    /// Digest of its uncompressed tar.
    pub diff_id: Digest,
    /// The layer below.
    pub parent: Option<ChainId>,
    /// Its directory is `layers/<number>`; small, because overlay's mount options have room for one page.
    pub number: u64,
    /// Bytes of its files.
    pub size: u64,
    /// How many layers, images and container roots hold it.
    pub references: u64,
}

/// A directory that becomes a layer, or is thrown away when this is dropped.
#[derive(Debug)]
pub struct StagedLayer {
    store: Store,
    number: u64,
    path: Option<PathBuf>,
}

impl StagedLayer {
    /// Where the files are, or go. A new one is there and empty, mode 0755.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// The directory was renamed to where it belongs.
    pub(crate) fn disarm(&mut self) {
        self.path = None;
    }

    /// The number the layer will have.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for StagedLayer {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            self.store.inner.discard(&path);
            self.store.inner.state().not_temporary(&path);
        }
    }
}

impl Store {
    /// An empty directory to unpack a layer into.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be made.
    pub fn stage_layer(&self) -> Result<StagedLayer, Error> {
        let number = self.inner.next_number();
        let path = self.inner.layout.tmp.join(format!("layer-{number}"));
        self.inner.state().temporary.insert(path.clone());
        make_directory(&path).inspect_err(|_| self.inner.state().not_temporary(&path))?;
        Ok(StagedLayer {
            store: self.clone(),
            number,
            path: Some(path),
        })
    }

    /// As [`Store::stage_layer`], of a directory that is filled already: it is renamed away from where it is, and must be on
    /// the file system of the data root.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn stage_directory(&self, from: &Path) -> Result<StagedLayer, Error> {
        let number = self.inner.next_number();
        let path = self.inner.layout.tmp.join(format!("layer-{number}"));
        self.inner.state().temporary.insert(path.clone());
        std::fs::rename(from, &path)
            .inspect_err(|_| self.inner.state().not_temporary(&path))
            .map_err(Error::file("rename", from))?;
        Ok(StagedLayer {
            store: self.clone(),
            number,
            path: Some(path),
        })
    }

    /// Makes the staged directory a layer on top of `parent`. It is pending: there for everyone, but gone after a
    /// crash and subject to collection when no lease protects it, until something that holds it is committed. A layer
    /// that is there already wins; the staged directory is then thrown away.
    ///
    /// # Errors
    /// [`Error::NoLayer`] when the parent is not there, [`Error::File`].
    pub fn commit_layer(
        &self,
        mut staged: StagedLayer,
        parent: Option<&ChainId>,
        diff_id: &Digest,
        size: u64,
    ) -> Result<LayerRecord, Error> {
        let record = LayerRecord {
            chain_id: ChainId::new(parent, diff_id),
            diff_id: diff_id.clone(),
            parent: parent.cloned(),
            number: staged.number,
            size,
            references: 0,
        };
        let mut state = self.inner.state();
        if let Some(parent) = parent
            && self.inner.find_layer(&mut state, parent)?.is_none()
        {
            return Err(Error::NoLayer(parent.clone()));
        }
        if let Some(found) = self.inner.find_layer(&mut state, &record.chain_id)? {
            return Ok(found);
        }
        let path = self.inner.layout.layer(record.number);
        std::fs::rename(staged.path(), &path).map_err(Error::file("rename", staged.path()))?;
        state.not_temporary(staged.path());
        staged.disarm();
        state.add_layer(record.clone());
        Ok(record)
    }

    /// The layer, also a pending one; `None` when it is not there. Under a live lease the layer stays until the lease
    /// ends.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn layer(&self, chain_id: &ChainId) -> Result<Option<LayerRecord>, Error> {
        let mut state = self.inner.state();
        self.inner.find_layer(&mut state, chain_id)
    }

    /// Whether the layer is there; as [`Store::layer`].
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn has_layer(&self, chain_id: &ChainId) -> Result<bool, Error> {
        Ok(self.layer(chain_id)?.is_some())
    }

    /// All layers in the catalogue.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn layers(&self) -> Result<Vec<LayerRecord>, Error> {
        let rows = self
            .inner
            .catalogue
            .reader()?
            .fetch_all(table::LAYERS, "")?;
        Ok(rows.into_iter().map(|(_, record)| record).collect())
    }

    /// The directory of a layer.
    #[must_use]
    pub fn layer_path(&self, record: &LayerRecord) -> PathBuf {
        self.inner.layout.layer(record.number)
    }

    /// A directory that is always empty, for root file systems without a layer.
    #[must_use]
    pub fn empty_layer_path(&self) -> PathBuf {
        self.inner.layout.layer(0)
    }
}

impl WriteTx<'_> {
    /// Adds a holder to a layer, taking it out of the pending ones if need be.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::Catalogue`].
    pub fn hold_layer(&mut self, chain_id: &ChainId) -> Result<(), Error> {
        let mut next = Some(chain_id.clone());
        while let Some(chain_id) = next.take() {
            let key = chain_id.to_string();
            let mut record = match self.fetch::<LayerRecord>(table::LAYERS, &key)? {
                Some(record) => record,
                None => {
                    let record = self.inner.adopt_layer(&mut self.adopted, &chain_id)?;
                    let usage = self.usage()?;
                    usage.layers += 1;
                    usage.layer_bytes += record.size;
                    // A layer new to the catalogue holds its parent.
                    next.clone_from(&record.parent);
                    record
                }
            };
            record.references += 1;
            self.store(table::LAYERS, &key, &record)?;
        }
        Ok(())
    }

    /// Takes a holder from a layer. Without holders it goes with this change, unless a lease protects it.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::Catalogue`].
    pub fn release_layer(&mut self, chain_id: &ChainId) -> Result<(), Error> {
        let key = chain_id.to_string();
        let mut record: LayerRecord = self
            .fetch(table::LAYERS, &key)?
            .ok_or_else(|| Error::NoLayer(chain_id.clone()))?;
        record.references = record.references.saturating_sub(1);
        self.store(table::LAYERS, &key, &record)?;
        if record.references == 0 {
            self.loose.layers.insert(chain_id.clone());
        }
        Ok(())
    }
}

fn make_directory(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir(path).map_err(Error::file("mkdir", path))?;
    // Not left to the umask: this mode becomes the mode of the container's `/`.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .map_err(Error::file("chmod", path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_are_the_specifications() {
        let diff = |digit: char| Digest::parse(&format!("sha256:{}", digit.to_string().repeat(64)));
        let (a, b) = (diff('a').unwrap(), diff('b').unwrap());
        let chain = ChainId::chain(&[a.clone(), b]);
        assert_eq!(chain[0].to_string(), a.to_string());
        // printf 'sha256:aa.. sha256:bb..' | sha256sum
        assert_eq!(
            chain[1].to_string(),
            "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"
        );
    }
}
