//! Lists in the making: a folder each below `manifests` of the client's configuration, a file for each image.

use std::io;
use std::path::{Path, PathBuf};

use onggi_model::ImageRef;

use super::document::{ImageManifest, unreadable};
use crate::Cli;
use crate::error::{Error, Result, io_text};

pub(super) struct Store {
    root: PathBuf,
}

impl Store {
    pub(super) fn new(cli: &Cli) -> Store {
        Store {
            root: cli.settings.directory.join("manifests"),
        }
    }

    fn folder(&self, list: &ImageRef) -> PathBuf {
        self.root.join(safe(list))
    }

    /// The images of a list in the order of their names; nothing where there is no such list.
    pub(super) fn list(&self, list: &ImageRef) -> Result<Option<Vec<ImageManifest>>> {
        let folder = self.folder(list);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &folder, &error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(
                entry
                    .map_err(|error| failed("read", &folder, &error))?
                    .path(),
            );
        }
        paths.sort();
        let images = paths.iter().map(|path| read(path));
        images.collect::<Result<Vec<_>>>().map(Some)
    }

    /// One image of a list.
    pub(super) fn image(&self, list: &ImageRef, image: &ImageRef) -> Result<Option<ImageManifest>> {
        let path = self.folder(list).join(safe(image));
        match path.exists() {
            true => read(&path).map(Some),
            false => Ok(None),
        }
    }

    pub(super) fn save(
        &self,
        list: &ImageRef,
        image: &ImageRef,
        manifest: &ImageManifest,
    ) -> Result<()> {
        let folder = self.folder(list);
        std::fs::create_dir_all(&folder).map_err(|error| failed("mkdir", &folder, &error))?;
        let path = folder.join(safe(image));
        let text = serde_json::to_vec(manifest).map_err(unreadable)?;
        std::fs::write(&path, text).map_err(|error| failed("write", &path, &error))
    }

    pub(super) fn remove(&self, list: &ImageRef) -> Result<()> {
        let folder = self.folder(list);
        std::fs::remove_dir_all(&folder).map_err(|error| failed("remove", &folder, &error))
    }
}

/// What Docker says where nothing is kept under a name.
pub(super) fn unknown(reference: &ImageRef) -> Error {
    Error::new(format!("No such manifest: {reference}"))
}

fn read(path: &Path) -> Result<ImageManifest> {
    let bytes = std::fs::read(path).map_err(|error| failed("open", path, &error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

/// A name as a file: no colons, no slashes.
fn safe(reference: &ImageRef) -> String {
    reference.to_string().replace(':', "-").replace('/', "_")
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(format!("{what} {}: {}", path.display(), io_text(error)))
}
