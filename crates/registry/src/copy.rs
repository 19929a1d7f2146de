//! An image from one repository to another one: its blobs mounted where the registry does that, else fetched and sent.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;

use onggi_oci::image::{Descriptor, Parsed, media_type};
use rustix::fs::{Mode, OFlags};

use crate::blob::{Chunk, Verify};
use crate::client::{Document, Source};
use crate::error::Error;
use crate::push::{Target, Upload};

/// Bytes that are written at once.
const BLOCK: usize = 1 << 20;

impl Target {
    /// Gives the repository an image of another one, by its digest, with what it lacks of its blobs: mounted where both are
    /// of one registry and it does that, else fetched, checked and sent. Between the two a blob lies in a file without a
    /// name, in `TMPDIR`. Layers that may not be given to others stay where they are.
    ///
    /// # Errors
    /// [`Error::Copy`] with the blob that could not be had; as [`Target::put_manifest`].
    pub async fn copy_image(&self, source: &Source, document: &Document) -> Result<(), Error> {
        let manifest = match document.parse(source.reference())? {
            Parsed::Manifest(manifest) => manifest,
            Parsed::Index(_) => return Err(Error::CopyIndex(source.reference().familiar())),
        };
        for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
            if media_type::is_foreign(&blob.media_type) {
                continue;
            }
            self.copy(source, blob).await.map_err(|error| Error::Copy {
                digest: blob.digest.clone(),
                from: source.reference().name(),
                source: Box::new(error),
            })?;
        }
        let media_type = match &document.media_type {
            Some(said) => said,
            None => media_type::MANIFEST,
        };
        let name = document.digest.as_str();
        self.put_manifest(name, media_type, document.bytes.clone())
            .await?;
        Ok(())
    }

    async fn copy(&self, source: &Source, blob: &Descriptor) -> Result<(), Error> {
        if self.has(&blob.digest).await? {
            return Ok(());
        }
        let place = self.mount_or_place(&blob.digest, source).await;
        if matches!(place, Some(None)) {
            return Ok(());
        }
        let file = Arc::new(fetch(source, blob).await?);
        let upload = Upload {
            descriptor: blob.clone(),
            // A descriptor of its own, and with it a position of its own.
            open: Arc::new(move || File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))),
            progress: Arc::new(|_| {}),
        };
        match place.flatten() {
            Some(place) => self.send_to(place, &upload).await,
            None => self.upload(&upload, None).await.map(drop),
        }
    }
}

/// A blob as a file.
async fn fetch(source: &Source, blob: &Descriptor) -> Result<OwnedFd, Error> {
    let failed = |error: std::io::Error| Error::Scratch(error.to_string());
    let folder = std::env::temp_dir();
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(&folder, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| Error::Scratch(format!("{}: {error}", folder.display())))?;
    let mut file = File::from(file);
    let mut stream = source.blob(blob, Verify::Here);
    let mut gathered = Vec::new();
    loop {
        let chunk = stream.next().await?;
        let last = chunk.is_none();
        if let Some(Chunk::Data(bytes)) = chunk {
            gathered.extend_from_slice(&bytes);
        }
        if gathered.len() >= BLOCK || last {
            let bytes = std::mem::take(&mut gathered);
            let written = onggi_rt::blocking("keep a blob on its way", move || {
                file.write_all(&bytes).map(|()| file)
            });
            let done = written.await.map_err(std::io::Error::other);
            file = done.and_then(|written| written).map_err(failed)?;
        }
        if last {
            return Ok(file.into());
        }
    }
}
