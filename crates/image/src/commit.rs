//! An image on top of another: the changes of a container as one more layer.

use std::io::Write;
use std::sync::Arc;

use onggi_archive::Packed;
use onggi_model::{Digest, ImageRef, Timestamp};
use onggi_oci::image::{ContainerConfig, History};

use crate::Error;
use crate::images::{Image, Images};
use crate::made::Assembly;

/// What the new image is to be.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The image below.
    pub parent: Digest,
    /// Its name; without one it is dangling.
    pub reference: Option<ImageRef>,
    /// Who made it.
    pub author: String,
    /// Remark.
    pub comment: String,
    /// What made the changes, for the history.
    pub created_by: String,
    /// What a container of it runs.
    pub config: ContainerConfig,
}

impl Images {
    /// Makes an image of `commit.parent` and the layer whose tar `write` writes; of the parent alone when that tar is
    /// empty. Blocks.
    ///
    /// # Errors
    /// NotFound: no such parent; InvalidParameter for a name that cannot be meant; Internal when the disk is full.
    pub fn derive(
        &self,
        commit: Commit,
        write: impl FnOnce(&mut dyn Write) -> Result<Packed, onggi_archive::Error> + Send,
    ) -> Result<Image, Error> {
        if let Some(reference) = &commit.reference {
            self.check_name(reference)?;
        }
        let lease = Arc::new(self.inner.store.lease());
        let parent = self.get(commit.parent.as_str())?;
        let mut layers = self.layers_of(&parent)?;
        let layer = self.make_layer(layers.last().map(|layer| &layer.chain_id), write)?;
        let now = Timestamp::now().to_string();
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let mut config = (*parent.config).clone();
        config.created = Some(now.clone());
        config.author = some(commit.author.clone());
        config.comment = some(commit.comment.clone());
        config.config = commit.config;
        config.history.push(History {
            created: Some(now),
            created_by: some(commit.created_by),
            author: some(commit.author),
            comment: some(commit.comment),
            empty_layer: layer.is_none(),
        });
        layers.extend(layer);
        let image = self.assemble(Assembly {
            config,
            layers,
            parent: Some(parent.id().clone()),
            references: commit.reference.into_iter().collect(),
        });
        drop(lease);
        image
    }
}
