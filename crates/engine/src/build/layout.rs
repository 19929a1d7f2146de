//! A cache in a directory of the client, as the session tells of it: files are asked for one by one, and given back.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use onggi_api::session::{Entry, What};
use onggi_builder::Error as BuildError;
use onggi_builder::exchange::{Gathered, Layout};
use onggi_builder::files::Content;
use onggi_model::Digest;

use super::session::Wire;
use crate::Engine;
use crate::error::{Error, Result};

/// The longest `index.json` that is read.
const INDEX: u64 = 4 << 20;

/// What a client has in a directory of `--cache-from` or `--cache-to`.
#[derive(Debug)]
pub(super) struct Directory {
    wire: Arc<Wire>,
    index: Option<Content>,
    blobs: BTreeMap<Digest, Content>,
}

impl Directory {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            index: None,
            blobs: BTreeMap::new(),
        }
    }

    /// Takes in a file; what is no part of a cache is nothing.
    pub(super) fn add(&mut self, entry: &Entry, number: u32) {
        let What::File(size, digest) = entry.what else {
            return;
        };
        let at = u64::from(number);
        let content = Content { digest, size, at };
        let name = Digest::sha256(digest);
        if entry.path == b"index.json" {
            self.index = Some(content);
        } else if entry.path.strip_prefix(b"blobs/sha256/") == Some(name.hex().as_bytes()) {
            self.blobs.insert(name, content);
        }
    }
}

impl Layout for Directory {
    fn index(&self) -> Result<Option<Vec<u8>>, BuildError> {
        let Some(index) = &self.index else {
            return Ok(None);
        };
        if index.size > INDEX {
            let text = format!("its index.json has more than {INDEX} bytes");
            return Err(BuildError::new(text));
        }
        let mut bytes = Vec::new();
        self.wire.carry(index, &mut bytes)?;
        Ok(Some(bytes))
    }

    fn size(&self, blob: &Digest) -> Option<u64> {
        self.blobs.get(blob).map(|content| content.size)
    }

    fn read(&self, blob: &Digest, to: &mut dyn Write) -> Result<(), BuildError> {
        let content = self.blobs.get(blob);
        let content = content.ok_or_else(|| BuildError::new(format!("it lacks {blob}")))?;
        Ok(self.wire.carry(content, to)?)
    }
}

impl Directory {
    /// Gives the client the files of a cache that it lacks, and what its `index.json` is to say.
    ///
    /// # Errors
    /// What the client says of them, and the disk.
    pub(super) async fn keep(&self, engine: &Engine, path: &str, cache: &Gathered) -> Result<()> {
        for blob in &cache.blobs {
            let (store, digest) = (engine.inner.images.store().clone(), blob.clone());
            let open = onggi_rt::blocking("open a layer", move || store.blob(&digest));
            let file = tokio::fs::File::from_std(open.await??);
            self.wire.give(path, blob.as_str(), file).await?;
        }
        let manifest = serde_json::to_vec(&cache.manifest);
        let manifest = manifest.map_err(|error| Error::internal(error.to_string()))?;
        self.wire.give(path, "", &manifest[..]).await
    }
}
