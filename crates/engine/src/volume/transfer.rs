//! What Docker lacks: volumes as tars, out and in, and under another name.

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use onggi_api::volume as api;
use onggi_archive::{ApplyOptions, PackOptions};
use onggi_volume::{FOREIGN_IMPORTS, NewVolume};
use tokio::io::AsyncRead;
use tracing::info;

use crate::Engine;
use crate::container::archive::{Chunks, stream};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// The guest that takes files out.
const EXPORT: &str = "export";

/// A volume whose files are being read: it stays, and stays mounted.
struct Lent {
    inner: Arc<Inner>,
    name: String,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.inner.volumes.give_back(&self.name, EXPORT);
    }
}

impl Engine {
    /// A tar of everything in a volume, also while containers write to it. It is made as it is read: whoever stops reading
    /// stops the work.
    ///
    /// # Errors
    /// `NotFound`; what the kernel says where its file system cannot be mounted.
    pub async fn volume_export(&self, name: &str) -> Result<Chunks> {
        let (inner, volume) = (self.inner.clone(), name.to_owned());
        let (root, lent) = onggi_rt::blocking("open a volume", move || -> Result<_> {
            let root = inner.volumes.lend(&volume, EXPORT)?;
            let name = volume;
            Ok((root, Lent { inner, name }))
        })
        .await??;
        self.volume_event("export", name, []);
        stream("export a volume", move |sink| {
            let _lent = lent;
            let options = PackOptions {
                with_root: true,
                holes: true,
                without: FOREIGN_IMPORTS.map(|own| own.as_bytes().to_vec()).to_vec(),
                ..PackOptions::default()
            };
            onggi_archive::pack(root.as_fd(), sink, &options).map(drop)
        })
    }

    /// Makes the content of a volume from a tar, which may be compressed. The volume is empty, or made for it; it has all
    /// of the tar or nothing.
    ///
    /// # Errors
    /// `Conflict`: it is not empty; `InvalidParameter` for a tar that cannot be unpacked.
    pub async fn volume_import(
        &self,
        name: &str,
        tar: impl AsyncRead + Unpin + Send + 'static,
    ) -> Result<api::Volume> {
        if name.is_empty() {
            return Err(Error::invalid("import: a volume needs a name"));
        }
        let inner = self.inner.clone();
        let new = NewVolume {
            name: name.to_owned(),
            ..NewVolume::default()
        };
        let tar = onggi_rt::Reader::new(tar);
        let imported = onggi_rt::blocking("import a volume", move || {
            inner.volumes.import(&new, |into| -> Result<()> {
                let mut tar = BufReader::new(tar);
                let begin = tar.fill_buf();
                if begin
                    .map_err(|e| Error::io("read the archive", e))?
                    .is_empty()
                {
                    return Err(Error::invalid(format!(
                        "import {}: no archive came: did what makes it succeed?",
                        new.name
                    )));
                }
                let said = |fault: onggi_archive::Error| {
                    let said = match fault.is_of_names() {
                        true => Error::invalid(onggi_model::chain(&fault)),
                        false => Error::of(&fault),
                    };
                    said.context(format_args!("import {}", new.name))
                };
                let (_, tar) = onggi_archive::decompress(tar).map_err(said)?;
                onggi_archive::apply(tar, into, &ApplyOptions::default())
                    .map(drop)
                    .map_err(said)
            })
        })
        .await??;
        let name = imported.volume.name.as_str();
        if imported.is_new {
            info!(volume = name, "created");
            self.volume_event("create", name, []);
        }
        info!(volume = name, "imported");
        self.volume_event("import", name, []);
        Ok(self.volume_document(&imported.volume))
    }

    /// Gives a volume that no container has another name.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where containers hold it or the name is taken; `InvalidParameter` for what is no name.
    pub async fn volume_rename(&self, name: &str, to: &str) -> Result<()> {
        let (inner, old, new) = (self.inner.clone(), name.to_owned(), to.to_owned());
        let renamed =
            onggi_rt::blocking("rename a volume", move || inner.volumes.rename(&old, &new));
        let volume = renamed.await??;
        info!(volume = name, to = volume.name, "renamed");
        let old = ("oldName".to_owned(), name.to_owned());
        self.volume_event("rename", &volume.name, [old]);
        Ok(())
    }
}
