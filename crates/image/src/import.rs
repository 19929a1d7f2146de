//! A tar becomes an image of one layer.

use std::io::Read;
use std::sync::Arc;

use onggi_model::{Digest, ImageRef, Platform, Timestamp};
use onggi_oci::image::{ContainerConfig, Descriptor, History, ImageConfig, RootFs, media_type};
use onggi_store::ChainId;
use tokio::io::AsyncRead;

use crate::Error;
use crate::change;
use crate::document::{self, layer_type, record};
use crate::images::{Image, Images, reserved, with_tag};
use crate::jobs;
use crate::unpack::{Keep, Reading, digest_of, unpack};

/// What an imported image is to be.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Its name; without one it is dangling.
    pub reference: Option<ImageRef>,
    /// Instructions of a Dockerfile that change its configuration.
    pub changes: Vec<String>,
    /// Remark; `Imported from -` when empty.
    pub message: String,
    /// What it runs on; this machine's when unset.
    pub platform: Option<Platform>,
}

impl Images {
    /// Makes an image of one layer from a tar, which may be compressed.
    ///
    /// # Errors
    /// InvalidParameter for a name, a change or a tar that cannot be meant; Internal when the disk is full.
    pub async fn import(
        &self,
        reader: impl AsyncRead + Unpin + Send + 'static,
        import: Import,
    ) -> Result<Image, Error> {
        let images = self.clone();
        let reader = onggi_rt::Reader::new(reader);
        onggi_rt::blocking("import image", move || images.import_now(reader, &import)).await?
    }

    fn import_now(&self, reader: impl Read + Send, import: &Import) -> Result<Image, Error> {
        // Everything that can be wrong without reading the tar comes first.
        let reference = import.reference.as_ref().map(with_tag).transpose()?;
        if let Some(reference) = &reference {
            reserved(reference)?;
            if reference.digest().is_some() {
                return Err(Error::TagWithDigest);
            }
        }
        let mut changed = ContainerConfig::default();
        change::apply(&mut changed, &import.changes)?;
        let lease = Arc::new(self.inner.store.lease());
        let unpacked = unpack(&self.inner, &mut Reading(reader), Keep::Any)?;
        let Some((blob, blob_size)) = unpacked.blob.clone() else {
            return Err(Error::Cancelled);
        };
        let (diff_id, compression) = (unpacked.diff_id.clone(), unpacked.compression);
        let layer = jobs::commit(&self.inner, unpacked, None)?;
        let now = Timestamp::now().to_string();
        let host = Platform::host();
        let platform = import.platform.as_ref().unwrap_or(&host);
        let comment = match import.message.as_str() {
            "" => "Imported from -".to_owned(),
            message => message.to_owned(),
        };
        let config = ImageConfig {
            created: Some(now.clone()),
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone(),
            os: platform.os.clone(),
            config: changed,
            rootfs: RootFs {
                diff_ids: vec![diff_id],
                ..RootFs::default()
            },
            history: vec![History {
                created: Some(now),
                comment: Some(comment.clone()),
                ..History::default()
            }],
            comment: Some(comment),
            ..ImageConfig::default()
        };
        let bytes = serde_json::to_vec(&config).map_err(|e| Error::Load(e.to_string()))?;
        let id = digest_of(onggi_model::Algorithm::Sha256, &bytes);
        let layers = vec![Descriptor::new(
            layer_type(compression),
            blob.clone(),
            blob_size,
        )];
        let manifest = document::manifest(&bytes, &id, layers)?;
        let manifest_digest = digest_of(onggi_model::Algorithm::Sha256, &manifest);
        let target = Descriptor::new(
            media_type::DOCKER_MANIFEST,
            manifest_digest.clone(),
            manifest.len() as u64,
        );
        let chain: Vec<ChainId> = vec![layer.chain_id];
        let mut image = record(
            &id,
            &config,
            target,
            manifest_digest.clone(),
            chain,
            layer.size,
        );
        image
            .references
            .extend(reference.map(|reference| reference.to_string()));
        let documents: Vec<(Digest, bytes::Bytes)> =
            vec![(id, bytes.into()), (manifest_digest, manifest.into())];
        let image = self.commit(image, &[blob], &documents);
        drop(lease);
        image
    }
}
