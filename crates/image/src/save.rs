//! Archives that `load` reads: an OCI layout, with Docker's `manifest.json` beside its index.
//!
//! Documents and layers go out as they are kept, so that what is loaded elsewhere has the same digests. The same images
//! always make the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};

use onggi_archive::{Entry, Kind, TarWriter};
use onggi_model::{Digest, ImageRef, Platform};
use onggi_oci::image::{Descriptor, Index, SavedImage, annotation, media_type};
use onggi_store::Lease;

use crate::Error;
use crate::images::{Image, Images};
use crate::parts::Parts;

/// Bytes collected before they are written.
const BUFFER: usize = 256 << 10;

/// Images to be written to an archive; they stay as long as this.
#[derive(Debug)]
pub struct Saving {
    images: Images,
    chosen: Vec<Chosen>,
    _lease: Lease,
}

#[derive(Debug)]
struct Chosen {
    image: Image,
    names: BTreeSet<ImageRef>,
    parts: Parts,
}

impl Images {
    /// Finds what `save` was asked for: names with a tag stand for themselves, names without one for all tags of the
    /// repository, IDs for an image without names. Blocks.
    ///
    /// # Errors
    /// NotFound: no such image, or not for the platform; Internal when part of one is missing.
    pub fn saving(&self, names: &[String], platform: Option<&Platform>) -> Result<Saving, Error> {
        let lease = self.inner.store.lease();
        let mut chosen: Vec<Chosen> = Vec::new();
        let mut add = |image: Image, name: Option<ImageRef>| -> Result<(), Error> {
            let found = chosen.iter().position(|c| c.image.id() == image.id());
            let at = match found {
                Some(at) => at,
                None => {
                    let parts = self.parts(&image.record, platform.is_some())?;
                    chosen.push(Chosen {
                        image,
                        names: BTreeSet::new(),
                        parts,
                    });
                    chosen.len() - 1
                }
            };
            chosen[at].names.extend(name);
            Ok(())
        };
        for name in names {
            let reference = ImageRef::parse_untagged(name).ok();
            let repository = reference
                .as_ref()
                .filter(|r| r.tag().is_none() && r.digest().is_none());
            let tags = match repository {
                Some(reference) => self.repository(&reference.name())?,
                None => Vec::new(),
            };
            if tags.is_empty() {
                let image = self.get(name)?;
                let tag = reference.filter(|r| image.record.references.contains(&r.to_string()));
                add(image, tag)?;
            }
            for (image, tag) in tags {
                add(image, Some(tag))?;
            }
        }
        if let Some(wanted) = platform {
            for one in &chosen {
                let actual = one.image.platform();
                if !wanted.matches(&actual) {
                    return Err(Error::Platform {
                        reference: names.join(", "),
                        actual: actual.to_string(),
                        wanted: wanted.to_string(),
                    });
                }
            }
        }
        Ok(Saving {
            images: self.clone(),
            chosen,
            _lease: lease,
        })
    }

    /// The images that have a tag of a repository, written in full, with those tags.
    pub(crate) fn repository(&self, name: &str) -> Result<Vec<(Image, ImageRef)>, Error> {
        let prefix = format!("{name}:");
        let mut found = Vec::new();
        for record in self.inner.store.images()? {
            for tag in record.references.iter().filter(|t| t.starts_with(&prefix)) {
                found.push((self.image(record.clone())?, ImageRef::parse(tag)?));
            }
        }
        found.sort_by_key(|(_, tag)| tag.to_string());
        Ok(found)
    }
}

impl Saving {
    /// The images, for what is to be said about them.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.chosen.iter().map(|chosen| &chosen.image)
    }

    /// Writes the archive. Blocks.
    ///
    /// # Errors
    /// When the sink does not take it, or a blob cannot be read.
    pub fn write(&self, sink: impl Write) -> Result<(), onggi_archive::Error> {
        let mut tar = TarWriter::new(BufWriter::with_capacity(BUFFER, sink));
        let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
        for Chosen { parts, .. } in &self.chosen {
            let all = (parts.configs.iter())
                .chain(parts.layers.iter().map(|layer| &layer.blob))
                .chain(parts.documents.iter().map(|(document, _)| document));
            blobs.extend(all.map(|blob| (blob.digest.clone(), blob.size)));
        }
        let mut folders = BTreeSet::from(["blobs/".to_owned()]);
        folders.extend(
            blobs
                .keys()
                .map(|digest| format!("blobs/{}/", digest.algorithm().as_str())),
        );
        for folder in folders {
            tar.header(&entry(folder, Kind::Directory, 0))?;
        }
        for (digest, size) in &blobs {
            let file = self
                .images
                .inner
                .store
                .blob(digest)
                .map_err(|error| onggi_archive::Error::Read(std::io::Error::other(error)))?;
            tar.file(&entry(path(digest), Kind::File, *size), file)?;
        }
        self.documents(&mut tar)?;
        tar.finish()?.flush().map_err(onggi_archive::Error::Write)
    }

    /// What says what belongs together.
    fn documents<W: Write>(&self, tar: &mut TarWriter<W>) -> Result<(), onggi_archive::Error> {
        let mut index = Index {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            artifact_type: None,
            manifests: Vec::new(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        let (mut saved, mut repositories) = (Vec::new(), BTreeMap::new());
        for Chosen {
            image,
            names,
            parts,
        } in &self.chosen
        {
            let Some((target, _)) = parts.target() else {
                continue;
            };
            index.manifests.extend(descriptors(target, names));
            saved.push(SavedImage {
                config: path(image.id()),
                repo_tags: Some(names.iter().map(ImageRef::familiar).collect::<Vec<_>>())
                    .filter(|names| !names.is_empty()),
                layers: parts.own.iter().map(path).collect(),
                parent: None,
                layer_sources: BTreeMap::new(),
            });
            for name in names {
                let tags: &mut BTreeMap<_, _> =
                    repositories.entry(name.familiar_name()).or_default();
                let tag = name.tag().unwrap_or("latest").to_owned();
                tags.insert(tag, image.id().hex().to_owned());
            }
        }
        document(tar, "index.json", serde_json::to_vec(&index))?;
        document(tar, "manifest.json", serde_json::to_vec(&saved))?;
        let layout = BTreeMap::from([("imageLayoutVersion", "1.0.0")]);
        document(tar, "oci-layout", serde_json::to_vec(&layout))?;
        if !repositories.is_empty() {
            let repositories: BTreeMap<String, BTreeMap<String, String>> = repositories;
            document(tar, "repositories", serde_json::to_vec(&repositories))?;
        }
        Ok(())
    }
}

/// An image in the archive's index: once for each of its names.
fn descriptors(target: &Descriptor, names: &BTreeSet<ImageRef>) -> Vec<Descriptor> {
    if names.is_empty() {
        return vec![target.clone()];
    }
    let named = |name: &ImageRef| {
        let mut descriptor = target.clone();
        let tag = name.tag().unwrap_or("latest").to_owned();
        descriptor.annotations = BTreeMap::from([
            (annotation::CONTAINERD_NAME.to_owned(), name.to_string()),
            (annotation::REF_NAME.to_owned(), tag),
        ]);
        descriptor
    };
    names.iter().map(named).collect()
}

fn document<W: Write>(
    tar: &mut TarWriter<W>,
    name: &str,
    bytes: serde_json::Result<Vec<u8>>,
) -> Result<(), onggi_archive::Error> {
    let bytes = bytes.map_err(|error| onggi_archive::Error::Write(std::io::Error::other(error)))?;
    let entry = entry(name.to_owned(), Kind::File, bytes.len() as u64);
    tar.file(&entry, bytes.as_slice()).map(drop)
}

fn entry(path: String, kind: Kind, size: u64) -> Entry {
    let mode = match kind {
        Kind::Directory => 0o755,
        _ => 0o644,
    };
    let mut entry = Entry::new(path.into_bytes(), kind, mode);
    entry.size = size;
    entry
}

fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}
