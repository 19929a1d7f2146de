//! To a registry: its layers at the same time, what is there already not at all, then its documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use onggi_model::{Digest, ImageRef, Platform};
use onggi_oci::image::Descriptor;
use onggi_registry::{Auth, Claim, SMALL, Target, Upload};
use onggi_store::ImageRecord;

use crate::Error;
use crate::images::{Image, Images, reserved};
use crate::parts::{Part, Parts};
use crate::progress::{Progress, Sink};
use crate::pull::fits;

/// How often the progress of one layer is told.
const TICK: Duration = Duration::from_millis(100);

impl Images {
    /// Pushes the image of a tag, or without a tag those of all tags of the repository; says what went out under which
    /// name. Index and manifest go out as they came; of an image whose index names others that are not here, and where
    /// a platform is asked for, the manifest.
    ///
    /// # Errors
    /// As the registry says; NotFound when there is nothing to push.
    pub async fn push(
        &self,
        reference: &ImageRef,
        platform: Option<Platform>,
        auth: &Auth,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Vec<(ImageRef, Image)>, Error> {
        reserved(reference)?;
        if reference.digest().is_some() {
            return Err(Error::PushDigest);
        }
        let sink: Sink<'_> = &progress;
        sink(Progress::status(
            None,
            format!("The push refers to repository [{}]", reference.name()),
        ));
        let _lease = self.inner.store.lease();
        let tags = self.tags_of(reference)?;
        let target = self.inner.registry.target(reference, auth).await?;
        let mut pushed = Vec::new();
        for (tag, image) in tags {
            if let Some(wanted) = &platform {
                fits(&tag, &image.config, wanted)?;
            }
            let alone = platform.is_some();
            let record = image.record.clone();
            self.push_one(&target, &tag, record, alone, sink).await?;
            pushed.push((tag, image));
        }
        Ok(pushed)
    }

    /// The images to push, by the name they are pushed under.
    fn tags_of(&self, reference: &ImageRef) -> Result<Vec<(ImageRef, Image)>, Error> {
        let mut tags = self.repository(&reference.name())?;
        if tags.is_empty() {
            return Err(Error::NoRepository(reference.familiar_name()));
        }
        if reference.tag().is_some() {
            tags.retain(|(_, name)| name.tag() == reference.tag());
        }
        match tags.is_empty() {
            true => Err(Error::NoTag(reference.familiar())),
            false => Ok(tags
                .into_iter()
                .map(|(image, name)| (name, image))
                .collect()),
        }
    }

    async fn push_one(
        &self,
        target: &Target,
        name: &ImageRef,
        image: ImageRecord,
        alone: bool,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let images = self.clone();
        let (image, parts) = onggi_rt::blocking("gather the parts of an image", move || {
            // As it is now: pushing another of its tags may have compressed its layers.
            let newest = images.inner.store.image(&image.id)?;
            let image = newest.ok_or_else(|| Error::NotFound(image.id.to_string()))?;
            let image = images.compress(image)?;
            let parts = images.parts(&image, alone)?;
            Ok::<_, Error>((image, parts))
        })
        .await??;
        let tag = name.tag().unwrap_or("latest");
        // A registry that has the manifest has what it names, or says so when it is given it again.
        let known = match parts.target() {
            Some((document, _)) => target.has_manifest(&document.digest).await?,
            None => false,
        };
        match known && documents(target, tag, &parts).await.is_ok() {
            true => self.told_there(&parts, sink),
            false => {
                self.blobs(target, name, &parts, sink).await?;
                documents(target, tag, &parts).await?;
            }
        }
        let Some((document, _)) = parts.target() else {
            return Ok(());
        };
        let (digest, size) = (document.digest.clone(), document.size);
        self.inner
            .store
            .name_by_digest(&image.id, &name.with_digest(digest.clone()).to_string())?;
        sink(Progress::status(
            None,
            format!("{tag}: digest: {digest} size: {size}"),
        ));
        sink(Progress::Pushed {
            tag: tag.to_owned(),
            digest,
            size,
        });
        Ok(())
    }

    /// Gives the registry what it lacks of these blobs.
    async fn blobs(
        &self,
        target: &Target,
        name: &ImageRef,
        parts: &Parts,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let mounts = self.elsewhere(name)?;
        let from = |digest: &Digest| mounts.get(digest).map(String::as_str);
        let layers = layers(parts);
        for (at, part) in layers.iter().enumerate() {
            let id = short(part);
            sink(Progress::status(id.clone(), "Preparing"));
            if at >= self.inner.uploads.count() {
                sink(Progress::status(id, "Waiting"));
            }
        }
        let pushing = layers
            .iter()
            .map(|part| self.layer(target, part, from(&part.blob.digest), sink));
        try_join_all(pushing).await?;
        for config in &parts.configs {
            let upload = self.upload(config, Arc::default());
            match target.claim(config).await {
                Some(Claim::There) => {}
                Some(Claim::Send(place)) => target.send_to(place, &upload).await?,
                None if target.has(&config.digest).await? => {}
                None => drop(target.upload(&upload, from(&config.digest)).await?),
            }
        }
        Ok(())
    }

    /// The lines of a push that has nothing to send.
    fn told_there(&self, parts: &Parts, sink: Sink<'_>) {
        let layers = layers(parts);
        for part in &layers {
            sink(Progress::status(short(part), "Preparing"));
        }
        for part in layers {
            let status = match part.is_foreign() {
                true => "Skipped foreign layer",
                false => "Layer already exists",
            };
            sink(Progress::status(short(part), status));
        }
    }

    async fn layer(
        &self,
        target: &Target,
        part: &Part,
        from: Option<&str>,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let id = short(part);
        if part.is_foreign() {
            sink(Progress::status(id, "Skipped foreign layer"));
            return Ok(());
        }
        let slots = match part.blob.size <= SMALL {
            true => &self.inner.small_uploads,
            false => &self.inner.uploads,
        };
        let _slot = slots.one().await?;
        let claim = match from {
            None => target.claim(&part.blob).await,
            Some(_) => None,
        };
        let (there, place) = match claim {
            Some(Claim::There) => (true, None),
            Some(Claim::Send(place)) => (false, Some(place)),
            None => (target.has(&part.blob.digest).await?, None),
        };
        if there {
            sink(Progress::status(id, "Layer already exists"));
            return Ok(());
        }
        let sent = Arc::new(AtomicU64::new(0));
        let upload = self.upload(&part.blob, sent.clone());
        let mut work = std::pin::pin!(async {
            match place {
                Some(place) => target.send_to(place, &upload).await.map(|()| false),
                None => target.upload(&upload, from).await,
            }
        });
        let mut told = u64::MAX;
        let mounted = loop {
            match tokio::time::timeout(TICK, &mut work).await {
                Ok(done) => break done?,
                Err(_) => {
                    let current = sent.load(Ordering::Relaxed);
                    if current != told {
                        told = current;
                        sink(transfer(&id, current, part.blob.size));
                    }
                }
            }
        };
        match (mounted, from) {
            (true, Some(from)) => {
                sink(Progress::status(id, format!("Mounted from {from}")));
            }
            _ => {
                sink(transfer(&id, part.blob.size, part.blob.size));
                sink(Progress::status(id, "Pushed"));
            }
        }
        Ok(())
    }

    fn upload(&self, blob: &Descriptor, sent: Arc<AtomicU64>) -> Upload {
        let (store, digest) = (self.inner.store.clone(), blob.digest.clone());
        Upload {
            descriptor: blob.clone(),
            open: Arc::new(move || store.blob(&digest).map_err(std::io::Error::other)),
            progress: Arc::new(move |bytes| sent.store(bytes, Ordering::Relaxed)),
        }
    }

    /// Which other repository of the same registry has a blob, as far as our names tell.
    fn elsewhere(&self, name: &ImageRef) -> Result<BTreeMap<Digest, String>, Error> {
        let mut found = BTreeMap::new();
        for image in self.inner.store.images()? {
            // A name by digest is proof that the registry has it.
            for other in &image.repo_digests {
                let other = ImageRef::parse(other)?;
                if other.domain() != name.domain() || other.path() == name.path() {
                    continue;
                }
                for blob in image.kept_blobs() {
                    found.entry(blob).or_insert_with(|| other.path().to_owned());
                }
            }
        }
        Ok(found)
    }
}

/// Gives the registry the documents, the last of them by the tag.
async fn documents(target: &Target, tag: &str, parts: &Parts) -> Result<(), onggi_registry::Error> {
    let last = parts.documents.len().saturating_sub(1);
    for (at, (document, bytes)) in parts.documents.iter().enumerate() {
        let by = match at == last {
            true => tag.to_owned(),
            false => document.digest.to_string(),
        };
        target
            .put_manifest(&by, &document.media_type, bytes.clone())
            .await?;
    }
    Ok(())
}

/// The layers, each once, the topmost first as Docker lists them.
fn layers(parts: &Parts) -> Vec<&Part> {
    let mut seen = BTreeSet::new();
    let layers = parts.layers.iter().rev();
    layers
        .filter(|part| seen.insert(part.blob.digest.clone()))
        .collect()
}

fn transfer(id: &str, current: u64, total: u64) -> Progress {
    Progress::Transfer {
        id: id.to_owned(),
        action: "Pushing",
        current,
        total,
    }
}

/// As Docker names a layer on its way out.
fn short(part: &Part) -> String {
    let digest = part.diff_id.as_ref().unwrap_or(&part.blob.digest);
    digest.short().to_owned()
}
