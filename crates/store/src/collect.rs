//! How a change ends, and how what nothing holds goes: out of the catalogue, then renamed away, then deleted behind.

use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::blob::BlobRecord;
use crate::catalogue::{WriteTx, table};
use crate::store::{Inner, State};
use crate::{ChainId, Error, LayerRecord, Store};
use onggi_model::Digest;

/// What a change threw out because nothing held it any more.
#[derive(Debug, Default)]
pub(crate) struct Discarded {
    pub(crate) blobs: Vec<Digest>,
    /// Topmost first.
    pub(crate) layers: Vec<ChainId>,
    numbers: Vec<u64>,
    roots: Vec<String>,
    bytes: u64,
}

/// What a collection freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that nothing held.
    pub blobs: usize,
    /// Layers that nothing held.
    pub layers: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Removes every blob and layer that nothing holds and no lease protects: leftovers of removals that a lease put
    /// off, and what was written but never committed.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn collect(&self) -> Result<Collected, Error> {
        self.inner.collect()
    }
}

impl WriteTx<'_> {
    /// Ends the change: syncs what it takes in, decides what goes, commits, renames away.
    pub(crate) fn finish(mut self) -> Result<Discarded, Error> {
        match self.prepare() {
            Ok(()) => {}
            Err(error) => {
                self.abandon();
                return Err(error);
            }
        }
        let inner = self.inner;
        // From here to the commit nobody may come to rely on what is thrown out, nor find an adopted object missing.
        let mut state = inner.state();
        let discarded = match self.throw_out(&mut state) {
            Ok(discarded) => discarded,
            Err(error) => {
                drop(state);
                self.abandon();
                return Err(error);
            }
        };
        let WriteTx {
            transaction,
            adopted,
            ..
        } = self;
        if let Err(error) = transaction.commit() {
            release(&mut state, &adopted);
            return Err(error.into());
        }
        for digest in &adopted.blobs {
            state.blobs.remove(digest);
            state.touch_blob(digest);
            inner.forget_partial(&state, digest);
        }
        for chain_id in &adopted.layers {
            state.layers.remove(chain_id);
            state.touch_layer(chain_id);
        }
        // The names of blobs and containers may be needed again at once; those of layers never are.
        let blobs = discarded
            .blobs
            .iter()
            .map(|digest| inner.layout.blob(digest));
        let containers = &inner.layout.containers;
        let roots = discarded.roots.iter().map(|name| containers.join(name));
        for path in blobs.chain(roots) {
            inner.logged(inner.trash(&path));
        }
        let layers = discarded.numbers.iter();
        state.doom(layers.map(|number| inner.layout.layer(*number)));
        drop(state);
        inner.bell.ring();
        Ok(discarded)
    }

    /// Gives the change up. What it took in is pending again.
    pub(crate) fn abandon(self) {
        release(&mut self.inner.state(), &self.adopted);
        if let Err(error) = self.transaction.abort() {
            tracing::error!(%error, "the catalogue could not give up a change");
        }
    }

    fn prepare(&mut self) -> Result<(), Error> {
        if self.adopted.unsynced {
            self.inner.sync_files()?;
        }
        Ok(())
    }

    fn throw_out(&mut self, state: &mut State) -> Result<Discarded, Error> {
        let mut discarded = Discarded::default();
        for digest in std::mem::take(&mut self.loose.blobs) {
            let Some(record) = self.fetch::<BlobRecord>(table::BLOBS, digest.as_str())? else {
                continue;
            };
            if record.references > 0 {
                continue;
            }
            if state.protects_blob(&digest) {
                state.defer();
                continue;
            }
            self.erase(table::BLOBS, digest.as_str())?;
            let usage = self.usage()?;
            usage.blobs = usage.blobs.saturating_sub(1);
            usage.blob_bytes = usage.blob_bytes.saturating_sub(record.size);
            discarded.bytes += record.size;
            discarded.blobs.push(digest);
        }
        // Releasing a parent may make it loose in turn.
        while let Some(chain_id) = self.loose.layers.pop_first() {
            let key = chain_id.to_string();
            let Some(record) = self.fetch::<LayerRecord>(table::LAYERS, &key)? else {
                continue;
            };
            let pending_child = state
                .layers
                .values()
                .any(|pending| pending.record.parent.as_ref() == Some(&chain_id));
            if record.references > 0 {
                continue;
            }
            if pending_child || state.protects_layer(&chain_id) {
                state.defer();
                continue;
            }
            self.erase(table::LAYERS, &key)?;
            if let Some(parent) = &record.parent {
                self.release_layer(parent)?;
            }
            let usage = self.usage()?;
            usage.layers = usage.layers.saturating_sub(1);
            usage.layer_bytes = usage.layer_bytes.saturating_sub(record.size);
            discarded.bytes += record.size;
            discarded.numbers.push(record.number);
            discarded.layers.push(chain_id);
        }
        discarded
            .roots
            .extend(std::mem::take(&mut self.loose.roots));
        self.write_usage()?;
        self.write_draft()?;
        Ok(discarded)
    }
}

fn release(state: &mut State, adopted: &crate::catalogue::Adopted) {
    for digest in &adopted.blobs {
        if let Some(pending) = state.blobs.get_mut(digest) {
            pending.adopted = false;
        }
    }
    for chain_id in &adopted.layers {
        if let Some(pending) = state.layers.get_mut(chain_id) {
            pending.adopted = false;
        }
    }
}

impl Inner {
    pub(crate) fn collect(&self) -> Result<Collected, Error> {
        let mut collected = {
            let mut state = self.state();
            state.take_deferred();
            self.drop_pending(&mut state)
        };
        let mut tx = WriteTx::begin(self)?;
        let gather = |tx: &mut WriteTx<'_>| -> Result<(), Error> {
            for (key, record) in tx.fetch_all::<BlobRecord>(table::BLOBS)? {
                if record.references == 0
                    && let Ok(digest) = Digest::parse(&key)
                {
                    tx.loose.blobs.insert(digest);
                }
            }
            for (_, record) in tx.fetch_all::<LayerRecord>(table::LAYERS)? {
                if record.references == 0 {
                    tx.loose.layers.insert(record.chain_id);
                }
            }
            Ok(())
        };
        if let Err(error) = gather(&mut tx) {
            tx.abandon();
            return Err(error);
        }
        if tx.loose.blobs.is_empty() && tx.loose.layers.is_empty() {
            tx.abandon();
            return Ok(collected);
        }
        let discarded = tx.finish()?;
        collected.blobs += discarded.blobs.len();
        collected.layers += discarded.layers.len();
        collected.bytes += discarded.bytes;
        Ok(collected)
    }

    /// Throws out pending objects that no lease protects and no change is taking in.
    pub(crate) fn drop_pending(&self, state: &mut State) -> Collected {
        let mut collected = Collected::default();
        let blobs: Vec<Digest> = state
            .blobs
            .iter()
            .filter(|(_, blob)| !blob.adopted && !state.protects(blob.stamp))
            .map(|(digest, _)| digest.clone())
            .collect();
        for digest in blobs {
            if let Some(blob) = state.blobs.remove(&digest) {
                collected.bytes += blob.size;
            }
            collected.blobs += 1;
            self.discard(&self.layout.blob(&digest));
        }
        // A layer below a pending one that stays must stay too.
        loop {
            let mut kept: std::collections::HashSet<ChainId> = std::collections::HashSet::new();
            for layer in state.layers.values() {
                kept.extend(layer.record.parent.clone());
            }
            let layers: Vec<ChainId> = state
                .layers
                .iter()
                .filter(|(chain_id, layer)| {
                    !layer.adopted && !state.protects(layer.stamp) && !kept.contains(*chain_id)
                })
                .map(|(chain_id, _)| chain_id.clone())
                .collect();
            if layers.is_empty() {
                return collected;
            }
            for chain_id in layers {
                if let Some(layer) = state.layers.remove(&chain_id) {
                    collected.bytes += layer.record.size;
                    self.discard(&self.layout.layer(layer.record.number));
                }
                collected.layers += 1;
            }
        }
    }

    /// Renames a file or directory into the trash, or leaves it to the next start, which finds it again.
    pub(crate) fn discard(&self, path: &Path) {
        self.logged(self.try_discard(path));
    }

    pub(crate) fn logged(&self, discarded: Result<(), Error>) {
        if let Err(error) = discarded {
            tracing::warn!(error = %onggi_model::chain(&error), "left to the next start");
        }
    }

    /// Renames a file or directory into the trash, and has it deleted. What is not there is in order.
    pub(crate) fn try_discard(&self, path: &Path) -> Result<(), Error> {
        self.trash(path)?;
        self.bell.ring();
        Ok(())
    }

    /// Renames a file or directory into the trash.
    pub(crate) fn trash(&self, path: &Path) -> Result<(), Error> {
        loop {
            let to = self.layout.trash.join(self.next_temporary().to_string());
            match renameat_with(CWD, path, CWD, &to, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(()),
                // Trash of an earlier run.
                Err(rustix::io::Errno::EXIST) => {}
                Err(rustix::io::Errno::NOENT) => return Ok(()),
                Err(errno) => return Err(Error::file("rename", path)(errno)),
            }
        }
    }
}
