//! A cache in a directory that another holds: the layout of an image of OCI, as BuildKit has it too. Its `index.json` may
//! name several caches, each by its tag; a blob is the file that its digest names.

use std::fmt::Debug;
use std::io::Write;

use onggi_model::{Digest, Platform};
use onggi_oci::image::{Descriptor, Index, annotation};
use onggi_registry::MANIFEST_LIMIT;

use super::{Exported, Known, Local, import};
use crate::Error;

/// The files of a cache, whoever has them. Blocks.
pub trait Layout: Debug + Send + Sync {
    /// `index.json`, if there is one.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn index(&self) -> Result<Option<Vec<u8>>, Error>;

    /// How large a blob is, if it is there.
    fn size(&self, blob: &Digest) -> Option<u64>;

    /// Writes the bytes of a blob, which are what its digest says where it succeeds.
    ///
    /// # Errors
    /// Why they cannot be had, or written.
    fn read(&self, blob: &Digest, to: &mut dyn Write) -> Result<(), Error>;
}

/// A cache that was put together, for whoever is to have its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// What it is.
    pub exported: Exported,
    /// Its blobs that were not there, those with documents last.
    pub blobs: Vec<Digest>,
    /// What `index.json` is to say of it.
    pub manifest: Descriptor,
}

/// What the cache of this tag, or with this digest, says.
pub(super) fn read(
    layout: &dyn Layout,
    local: &Local,
    platform: &Platform,
) -> Result<Known, Error> {
    let digest = match &local.digest {
        Some(digest) => digest.clone(),
        None => named(layout, &local.tag)?,
    };
    let parse = |digest: &Digest| import::parse(&document(layout, digest)?);
    let manifest = import::manifest(parse(&digest)?, platform, parse)?;
    let config = document(layout, &manifest.config.digest)?;
    import::known(manifest, &config)
}

/// The manifest that has a tag.
fn named(layout: &dyn Layout, tag: &str) -> Result<Digest, Error> {
    let Some(index) = layout.index()? else {
        return Err(Error::new("there is no index.json in it"));
    };
    let index: Index = serde_json::from_slice(&index)
        .map_err(|error| Error::new(format!("its index.json cannot be read: {error}")))?;
    let tags = index.manifests.iter();
    let tags = tags.map(|one| (one, one.annotations.get(annotation::REF_NAME)));
    let mut tags = tags.filter_map(|(one, tag)| Some((one, tag?)));
    let found = tags.clone().find(|(_, name)| *name == tag);
    match found {
        Some((manifest, _)) => Ok(manifest.digest.clone()),
        None => Err(Error::new(match tags.next() {
            None => format!("nothing in it has the tag {tag}"),
            Some((_, other)) => format!("nothing in it has the tag {tag}, but {other}"),
        })),
    }
}

/// The bytes of a document.
fn document(layout: &dyn Layout, digest: &Digest) -> Result<Vec<u8>, Error> {
    match layout.size(digest) {
        None => Err(Error::new(format!("it lacks {digest}"))),
        Some(size) if size > MANIFEST_LIMIT => Err(Error::new(format!(
            "{digest} has {size} bytes, which is no document"
        ))),
        Some(_) => {
            let mut bytes = Vec::new();
            layout.read(digest, &mut bytes)?;
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use onggi_oci::image::media_type;
    use onggi_registry::digest;
    use serde_json::json;

    use super::*;
    use crate::exchange::{BUILDKIT, CONFIG};

    #[derive(Debug, Default)]
    struct Files(Option<Vec<u8>>, BTreeMap<Digest, Vec<u8>>);

    impl Layout for Files {
        fn index(&self) -> Result<Option<Vec<u8>>, Error> {
            Ok(self.0.clone())
        }

        fn size(&self, blob: &Digest) -> Option<u64> {
            Some(self.1.get(blob)?.len() as u64)
        }

        fn read(&self, blob: &Digest, to: &mut dyn Write) -> Result<(), Error> {
            to.write_all(&self.1[blob])
                .map_err(|error| Error::new(error.to_string()))
        }
    }

    impl Files {
        fn blob(&mut self, kind: &str, text: &str) -> Descriptor {
            let blob = digest(text.as_bytes());
            self.1.insert(blob.clone(), text.as_bytes().to_vec());
            Descriptor::new(kind, blob, text.len() as u64)
        }

        /// A cache of this kind under this tag.
        fn cache(kind: &str, tag: &str) -> (Self, Digest) {
            let mut files = Self::default();
            let config = files.blob(kind, r#"{"layers":[],"steps":[]}"#);
            let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
            let manifest = files.blob(media_type::MANIFEST, &manifest.to_string());
            let mut entry = json!(manifest);
            entry["annotations"] = json!({ annotation::REF_NAME: tag });
            let index = json!({"schemaVersion": 2, "manifests": [entry]});
            files.0 = Some(index.to_string().into_bytes());
            (files, manifest.digest)
        }
    }

    fn said(files: &Files, tag: &str, digest: Option<Digest>) -> Result<usize, String> {
        let local = Local {
            path: "/c".to_owned(),
            tag: tag.to_owned(),
            digest,
        };
        let known = read(files, &local, &Platform::host());
        known
            .map(|known| known.steps.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_cache_is_found_by_its_tag_or_its_digest() {
        let (mut files, manifest) = Files::cache(CONFIG, "latest");
        assert_eq!(said(&files, "latest", None), Ok(0));
        assert_eq!(said(&files, "x", Some(manifest.clone())), Ok(0));
        let missing = said(&files, "x", None).expect_err("no tag");
        assert_eq!(missing, "nothing in it has the tag x, but latest");
        files.0 = None;
        let missing = said(&files, "latest", None).expect_err("no index");
        assert_eq!(missing, "there is no index.json in it");
        files.0 = Some(b"[".to_vec());
        let broken = said(&files, "latest", None).expect_err("no index");
        assert!(broken.starts_with("its index.json cannot be read: "));
        files.1.remove(&manifest);
        let missing = said(&files, "x", Some(manifest.clone())).expect_err("no manifest");
        assert_eq!(missing, format!("it lacks {manifest}"));
    }

    #[test]
    fn a_cache_of_buildkit_is_told_as_one() {
        let (files, _) = Files::cache(BUILDKIT, "latest");
        let refused = said(&files, "latest", None).expect_err("another's");
        assert!(refused.contains("a cache of BuildKit"), "{refused}");
        let (files, _) = Files::cache("text/plain", "latest");
        let refused = said(&files, "latest", None).expect_err("none");
        assert_eq!(refused, "it is of the type text/plain");
    }
}
