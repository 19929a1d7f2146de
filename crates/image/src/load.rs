//! Archives of `docker save` and OCI layouts, read once from front to back.
//!
//! What comes first in an archive is not known before its end, so every entry that looks like a layer is
//! unpacked and kept as it comes, and every small one is remembered; `manifest.json` or `index.json`, wherever
//! they are, then say what belongs together. What belongs to nothing goes with the lease.
//!
//! Kept true: an archive gives names only where it says them in full (`RepoTags`, an annotation); it cannot
//! name what it does not hold.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use onggi_archive::{Compression, Entry, Kind, TarReader, decompress};
use onggi_model::{Algorithm, Digest, ImageRef, Platform};
use onggi_oci::image::{
    Descriptor, ImageConfig, Index, MAX_DOCUMENT_SIZE, Manifest, Parsed, SavedImage, annotation,
    media_type,
};
use onggi_registry::select;
use onggi_store::{ChainId, LayerRecord};
use tokio::io::AsyncRead;

use crate::Error;
use crate::document::{self, check, layer_type, record};
use crate::images::{Image, Images, Inner};
use crate::jobs;
use crate::progress::{Progress, Sink};
use crate::unpack::{Blocks, Keep, Reading, Unpacked, digest_of, unpack};

/// Bytes of small entries that are remembered.
const MEMORY: u64 = 64 << 20;
/// Entries of an archive.
const ENTRIES: usize = 100_000;
/// What tells a tar from something else fits in one block.
const BLOCK: usize = 512;
/// An index inside an index is as deep as it goes.
const DEPTH: usize = 3;
/// Bytes of a layer between two lines of progress.
const STEP: u64 = 512 << 10;

/// An image an archive held.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// The names the archive gave it: `busybox:latest`.
    pub names: Vec<String>,
}

/// What was in an archive.
#[derive(Default)]
struct Contents {
    documents: HashMap<String, Bytes>,
    layers: HashMap<String, Layer>,
    /// Names that stand for other names.
    links: HashMap<String, String>,
    remembered: u64,
    entries: usize,
}

/// A layer as it came.
struct Layer {
    blob: Digest,
    size: u64,
    compression: Compression,
    diff_id: Digest,
    /// Until it is one in the store.
    unpacked: Option<Unpacked>,
}

/// One image an archive describes.
struct Described {
    config: Bytes,
    /// Names of its layers in the archive, base first.
    layers: Vec<String>,
    names: Vec<ImageRef>,
    /// Manifest and what the archive's index points at, with their bytes; made when there are none.
    manifest: Option<(Descriptor, Bytes)>,
    target: Option<(Descriptor, Bytes)>,
}

impl Images {
    /// Loads all images of an archive, which may be compressed. `platform` chooses from an index; without it
    /// this machine's is taken. All layers come in one pass; each image is there whole or not at all.
    ///
    /// # Errors
    /// InvalidParameter for what is no such archive; Internal when the disk is full.
    pub async fn load(
        &self,
        reader: impl AsyncRead + Unpin + Send + 'static,
        platform: Option<Platform>,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Vec<Loaded>, Error> {
        let images = self.clone();
        let reader = onggi_rt::Reader::new(reader);
        onggi_rt::blocking("load images", move || {
            images.load_now(reader, platform.as_ref(), &progress)
        })
        .await?
    }

    fn load_now(
        &self,
        reader: impl Read + Send,
        platform: Option<&Platform>,
        sink: Sink<'_>,
    ) -> Result<Vec<Loaded>, Error> {
        let lease = Arc::new(self.inner.store.lease());
        let (_, plain) = decompress(reader).map_err(Error::Archive)?;
        let mut contents = read(
            &self.inner,
            BufReader::with_capacity(256 << 10, plain),
            sink,
        )?;
        let described = describe(&contents, platform)?;
        if described.is_empty() {
            return Err(Error::Load("no image in it".to_owned()));
        }
        let mut loaded = Vec::new();
        for image in described {
            loaded.push(self.load_one(&mut contents, image)?);
        }
        drop(contents);
        drop(lease);
        Ok(loaded)
    }

    fn load_one(&self, contents: &mut Contents, image: Described) -> Result<Loaded, Error> {
        let config = ImageConfig::from_bytes(&image.config)?;
        if image.layers.len() != config.rootfs.diff_ids.len() {
            return Err(Error::Load(format!(
                "invalid manifest, layers length mismatch: expected {}, got {}",
                config.rootfs.diff_ids.len(),
                image.layers.len()
            )));
        }
        check(&config, image.layers.len())?;
        let id = digest_of(Algorithm::Sha256, &image.config);
        let mut chain: Vec<ChainId> = Vec::new();
        let (mut size, mut blobs, mut descriptors) = (0, Vec::new(), Vec::new());
        for (name, diff_id) in image.layers.iter().zip(&config.rootfs.diff_ids) {
            let layer = contents.layer(name)?;
            if layer.diff_id != *diff_id {
                let (expected, found) = (diff_id.clone(), layer.diff_id.clone());
                return Err(Error::DiffId { expected, found });
            }
            blobs.push(layer.blob.clone());
            let media_type = layer_type(layer.compression);
            descriptors.push(Descriptor::new(media_type, layer.blob.clone(), layer.size));
            let made = make(&self.inner, layer, chain.last())?;
            size += made.size;
            chain.push(made.chain_id);
        }
        let (manifest, bytes) = match image.manifest {
            Some(found) => found,
            None => {
                let bytes: Bytes = document::manifest(&image.config, &id, descriptors)?.into();
                let digest = digest_of(Algorithm::Sha256, &bytes);
                let size = bytes.len() as u64;
                (
                    Descriptor::new(media_type::DOCKER_MANIFEST, digest, size),
                    bytes,
                )
            }
        };
        let (target, target_bytes) = image.target.unwrap_or((manifest.clone(), bytes.clone()));
        let documents = [
            (id.clone(), image.config),
            (manifest.digest.clone(), bytes),
            (target.digest.clone(), target_bytes),
        ];
        let mut record = record(&id, &config, target, manifest.digest, chain, size);
        record.references = image.names.iter().map(ToString::to_string).collect();
        let names = image.names.iter().map(ImageRef::familiar).collect();
        Ok(Loaded {
            image: self.commit(record, &blobs, &documents)?,
            names,
        })
    }
}

/// Makes a layer of the archive one in the store; from its blob, when its directory is used up.
fn make(inner: &Inner, layer: &mut Layer, parent: Option<&ChainId>) -> Result<LayerRecord, Error> {
    let chain_id = ChainId::new(parent, &layer.diff_id);
    if let Some(record) = inner.store.layer(&chain_id)? {
        return Ok(record);
    }
    let unpacked = match layer.unpacked.take() {
        Some(unpacked) => unpacked,
        None => {
            let file = inner.store.blob(&layer.blob)?;
            unpack(inner, &mut Reading(file), Keep::Nothing)?
        }
    };
    jobs::commit(inner, unpacked, parent)
}

/// Reads the whole archive.
fn read(inner: &Inner, source: impl BufRead + Send, sink: Sink<'_>) -> Result<Contents, Error> {
    let mut tar = TarReader::new(source);
    let mut contents = Contents::default();
    while let Some(entry) = tar.next().map_err(Error::Archive)? {
        contents.entries += 1;
        if contents.entries > ENTRIES {
            return Err(Error::Load(format!("more than {ENTRIES} entries")));
        }
        // A name that leads out of the archive leads nowhere.
        let Some(name) = clean(&entry.path) else {
            continue;
        };
        match entry.kind {
            Kind::Symlink => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let target = format!("{folder}/{}", String::from_utf8_lossy(&entry.link));
                if let Some(target) = clean(target.as_bytes()) {
                    contents.links.insert(name, target);
                }
            }
            Kind::HardLink => {
                if let Some(target) = clean(&entry.link) {
                    contents.links.insert(name, target);
                }
            }
            Kind::File => contents.file(inner, &entry, name, &mut tar, sink)?,
            _ => {}
        }
    }
    Ok(contents)
}

impl Contents {
    fn file<R: BufRead + Send>(
        &mut self,
        inner: &Inner,
        entry: &Entry,
        name: String,
        tar: &mut TarReader<R>,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let mut data = Data {
            tar,
            start: Vec::new(),
            used: 0,
        };
        data.look().map_err(Error::Read)?;
        if !looks_like_layer(&data.start) {
            if entry.size > MAX_DOCUMENT_SIZE {
                return Ok(());
            }
            self.remembered += entry.size;
            if self.remembered > MEMORY {
                return Err(Error::Load(format!(
                    "more than {MEMORY} bytes of documents"
                )));
            }
            let mut bytes = Vec::new();
            while let Some(block) = data.block().map_err(Error::Read)? {
                bytes.extend_from_slice(&block);
            }
            self.documents.insert(name, bytes.into());
            return Ok(());
        }
        let id = short_name(&name);
        let mut source = Told {
            data,
            id,
            total: entry.size,
            current: 0,
            told: 0,
            sink,
        };
        let mut unpacked = unpack(inner, &mut source, Keep::Any)?;
        source.tell();
        let Some((blob, size)) = unpacked.blob.take() else {
            return Err(Error::Cancelled);
        };
        let layer = Layer {
            blob,
            size,
            compression: unpacked.compression,
            diff_id: unpacked.diff_id.clone(),
            unpacked: Some(unpacked),
        };
        self.layers.insert(name, layer);
        Ok(())
    }

    /// The name a name stands for.
    fn follow<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        for _ in 0..8 {
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        name
    }

    fn layer(&mut self, name: &str) -> Result<&mut Layer, Error> {
        let name = self.follow(name).to_owned();
        self.layers
            .get_mut(&name)
            .ok_or_else(|| Error::Load(format!("no layer {name:?} in it")))
    }

    fn document(&self, name: &str) -> Result<&Bytes, Error> {
        let name = self.follow(name);
        self.documents
            .get(name)
            .ok_or_else(|| Error::Load(format!("no file {name:?} in it")))
    }

    /// A document of an OCI layout, checked against its digest.
    fn by_digest(&self, digest: &Digest) -> Result<&Bytes, Error> {
        let bytes = self.document(&blob_name(digest))?;
        match digest_of(digest.algorithm(), bytes) == *digest {
            true => Ok(bytes),
            false => Err(Error::Load(format!("digest mismatch of {digest}"))),
        }
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// All images an archive describes.
fn describe(contents: &Contents, platform: Option<&Platform>) -> Result<Vec<Described>, Error> {
    let layout = match contents.documents.get("index.json") {
        Some(index) => of_layout(contents, index, platform)?,
        None => Vec::new(),
    };
    let all = match contents.documents.get("manifest.json") {
        Some(saved) => of_docker(contents, saved, layout)?,
        None if contents.documents.contains_key("index.json") => layout,
        None => {
            return Err(Error::Load(
                "neither manifest.json nor index.json in it".to_owned(),
            ));
        }
    };
    match platform {
        Some(wanted) => for_platform(all, wanted),
        None => Ok(all),
    }
}

/// Those that are for a platform; an archive that has only others is refused.
fn for_platform(all: Vec<Described>, wanted: &Platform) -> Result<Vec<Described>, Error> {
    let (mut fitting, mut refused) = (Vec::new(), None);
    for image in all {
        let config = ImageConfig::from_bytes(&image.config)?;
        let said = Platform::from(&config.platform());
        // Old images do not say.
        match said.architecture.is_empty() || wanted.matches(&said) {
            true => fitting.push(image),
            false => refused = Some((image, said)),
        }
    }
    match refused {
        Some((image, said)) if fitting.is_empty() => {
            let name = image.names.first().map(ImageRef::familiar);
            Err(Error::Platform {
                reference: name.unwrap_or_else(|| "<none>".to_owned()),
                actual: said.to_string(),
                wanted: wanted.to_string(),
            })
        }
        _ => Ok(fitting),
    }
}

/// What `docker save` describes. Newer engines write an OCI layout around it, whose manifests are kept.
fn of_docker(
    contents: &Contents,
    saved: &Bytes,
    layout: Vec<Described>,
) -> Result<Vec<Described>, Error> {
    let saved: Vec<SavedImage> = serde_json::from_slice(saved)
        .map_err(|error| Error::Load(format!("malformed manifest.json: {error}")))?;
    let mut by_config: BTreeMap<Digest, Described> = BTreeMap::new();
    for image in layout {
        by_config.insert(digest_of(Algorithm::Sha256, &image.config), image);
    }
    let mut images = Vec::new();
    for image in saved {
        let config_name = clean(image.config.as_bytes())
            .ok_or_else(|| Error::Load(format!("invalid name {:?}", image.config)))?;
        let config = contents.document(&config_name)?.clone();
        let mut names = Vec::new();
        for tag in image.repo_tags.unwrap_or_default() {
            let reference = ImageRef::parse(&tag)?;
            if reference.digest().is_some() {
                return Err(Error::TagWithDigest);
            }
            names.push(reference);
        }
        let layers: Vec<String> = image
            .layers
            .iter()
            .map(|name| {
                clean(name.as_bytes()).ok_or_else(|| Error::Load(format!("invalid name {name:?}")))
            })
            .collect::<Result<_, _>>()?;
        let known = by_config.get(&digest_of(Algorithm::Sha256, &config));
        let same = known.filter(|known| {
            known.layers.len() == layers.len()
                && known
                    .layers
                    .iter()
                    .zip(&layers)
                    .all(|(a, b)| contents.follow(a) == contents.follow(b))
        });
        images.push(Described {
            config,
            layers,
            names,
            manifest: same.and_then(|known| known.manifest.clone()),
            target: same.and_then(|known| known.target.clone()),
        });
    }
    Ok(images)
}

/// What an OCI layout describes.
fn of_layout(
    contents: &Contents,
    index: &Bytes,
    platform: Option<&Platform>,
) -> Result<Vec<Described>, Error> {
    let malformed = |error| Error::Load(format!("malformed index.json: {error}"));
    let index: Index = serde_json::from_slice(index).map_err(malformed)?;
    let host = Platform::host();
    let wanted = platform.unwrap_or(&host);
    let mut images: Vec<Described> = Vec::new();
    for entry in &index.manifests {
        if entry.annotations.contains_key(annotation::REFERENCE_TYPE) {
            continue;
        }
        let Some(mut image) = of_entry(contents, entry, wanted, platform.is_some())? else {
            continue;
        };
        image.names.extend(name_of(entry));
        let target = |image: &Described| image.target.as_ref().map(|(d, _)| d.digest.clone());
        // The same image may be listed once for each of its names.
        match images
            .iter_mut()
            .find(|other| target(other) == target(&image))
        {
            Some(other) => other.names.append(&mut image.names),
            None => images.push(image),
        }
    }
    Ok(images)
}

/// The image an entry leads to; nothing when it is for another platform than the one asked for, or none.
fn of_entry(
    contents: &Contents,
    entry: &Descriptor,
    wanted: &Platform,
    strict: bool,
) -> Result<Option<Described>, Error> {
    let target_bytes = contents.by_digest(&entry.digest)?.clone();
    let target = Descriptor::new(entry.media_type.clone(), entry.digest.clone(), entry.size);
    let (mut descriptor, mut bytes) = (target.clone(), target_bytes.clone());
    for _ in 0..DEPTH {
        let said = Some(descriptor.media_type.as_str());
        let manifest: Manifest = match Parsed::from_bytes(&bytes, said)? {
            Parsed::Manifest(manifest) => manifest,
            Parsed::Index(inner) => {
                let Ok(chosen) = select(&inner, wanted) else {
                    return Ok(None);
                };
                bytes = contents.by_digest(&chosen.digest)?.clone();
                descriptor = Descriptor::new(
                    chosen.media_type.clone(),
                    chosen.digest.clone(),
                    chosen.size,
                );
                continue;
            }
        };
        if !media_type::is_image_config(&manifest.config.media_type) {
            return Ok(None);
        }
        let config = contents.by_digest(&manifest.config.digest)?.clone();
        if strict {
            let platform = ImageConfig::from_bytes(&config)?.platform();
            let have = Platform::new(
                &platform.os,
                &platform.architecture,
                platform.variant.as_deref(),
            );
            if !wanted.matches(&have) {
                return Ok(None);
            }
        }
        let layers = manifest
            .layers
            .iter()
            .map(|layer| blob_name(&layer.digest))
            .collect();
        let wrong = manifest.layers.iter().find(|layer| {
            let held = contents
                .layers
                .get(contents.follow(&blob_name(&layer.digest)));
            held.is_some_and(|held| held.blob != layer.digest)
        });
        if let Some(layer) = wrong {
            return Err(Error::LayerDigest(layer.digest.clone()));
        }
        return Ok(Some(Described {
            config,
            layers,
            names: Vec::new(),
            manifest: Some((descriptor, bytes)),
            target: Some((target, target_bytes)),
        }));
    }
    Ok(None)
}

/// The full name an entry carries. A bare tag (`latest`) is no name.
fn name_of(entry: &Descriptor) -> Option<ImageRef> {
    let full = entry.annotations.get(annotation::CONTAINERD_NAME);
    let text = full.or_else(|| {
        let name = entry.annotations.get(annotation::REF_NAME)?;
        name.contains([':', '/']).then_some(name)
    })?;
    ImageRef::parse(text)
        .ok()
        .filter(|reference| reference.digest().is_none())
}

/// A name in an archive, without dots and doubled slashes; nothing when it leads out.
fn clean(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// What a layer is called in progress: the first digits of its digest or its old ID.
fn short_name(name: &str) -> String {
    let parts = name.trim_end_matches("/layer.tar").trim_end_matches(".tar");
    parts
        .rsplit('/')
        .next()
        .unwrap_or(parts)
        .chars()
        .take(12)
        .collect()
}

/// Whether these first bytes are of a tar, compressed or not.
fn looks_like_layer(start: &[u8]) -> bool {
    if Compression::detect(start) != Compression::None {
        return true;
    }
    let Some(block) = start.get(..BLOCK) else {
        return false;
    };
    // A layer without files is a tar of zeros; an old tar has no magic but a checksum.
    block.iter().all(|byte| *byte == 0)
        || block[257..].starts_with(b"ustar")
        || checksum_fits(block)
}

fn checksum_fits(block: &[u8]) -> bool {
    let text: String = block[148..156]
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| c.is_ascii_digit())
        .collect();
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u64::from(*byte)
            }
        })
        .sum();
    u64::from_str_radix(&text, 8).is_ok_and(|said| said == sum)
}

/// The data of one entry. Its beginning can be looked at before it is read.
struct Data<'a, R> {
    tar: &'a mut TarReader<R>,
    start: Vec<u8>,
    used: usize,
}

impl<R: BufRead> Data<'_, R> {
    fn look(&mut self) -> io::Result<()> {
        while self.start.len() < BLOCK {
            let data = self.tar.data().map_err(io::Error::other)?;
            let count = data.len().min(BLOCK - self.start.len());
            if count == 0 {
                break;
            }
            self.start.extend_from_slice(&data[..count]);
            self.tar.consume(count);
        }
        Ok(())
    }
}

impl<R: BufRead + Send> Blocks for Data<'_, R> {
    fn block(&mut self) -> io::Result<Option<Bytes>> {
        if self.used < self.start.len() {
            let block = Bytes::copy_from_slice(&self.start[self.used..]);
            self.used = self.start.len();
            return Ok(Some(block));
        }
        let data = self.tar.data().map_err(io::Error::other)?;
        if data.is_empty() {
            return Ok(None);
        }
        let block = Bytes::copy_from_slice(data);
        self.tar.consume(block.len());
        Ok(Some(block))
    }
}

/// Tells how far a layer is.
struct Told<'a, B> {
    data: B,
    id: String,
    total: u64,
    current: u64,
    told: u64,
    sink: Sink<'a>,
}

impl<B> Told<'_, B> {
    fn tell(&mut self) {
        self.told = self.current;
        (self.sink)(Progress::Transfer {
            id: self.id.clone(),
            action: "Loading layer",
            current: self.current,
            total: self.total,
        });
    }
}

impl<B: Blocks> Blocks for Told<'_, B> {
    fn block(&mut self) -> io::Result<Option<Bytes>> {
        let block = self.data.block()?;
        self.current += block.as_ref().map_or(0, |block| block.len() as u64);
        if self.current - self.told >= STEP {
            self.tell();
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(clean(b"./a//b/../c"), Some("a/c".to_owned()));
        assert_eq!(clean(b"../a"), None);
        assert_eq!(clean(b"a/../../b"), None);
        assert_eq!(clean(b"/abs"), Some("abs".to_owned()));
        assert_eq!(clean(b"."), None);
    }

    #[test]
    fn layers_are_known_by_their_first_bytes() {
        assert!(looks_like_layer(&[0; 1024]));
        assert!(looks_like_layer(&[0x1f, 0x8b, 8, 0, 0, 0]));
        assert!(looks_like_layer(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0]));
        assert!(!looks_like_layer(b"{\"architecture\":\"amd64\"}"));
        assert!(!looks_like_layer(&[b' '; 600]));
        let mut old = tar::Header::new_old();
        old.set_path("x").unwrap();
        old.set_size(0);
        old.set_cksum();
        assert!(looks_like_layer(old.as_bytes()));
    }

    #[test]
    fn a_bare_tag_is_no_name() {
        let entry = |key: &str, value: &str| {
            let digest = digest_of(Algorithm::Sha256, b"");
            let mut entry = Descriptor::new(media_type::MANIFEST, digest, 0);
            entry.annotations.insert(key.to_owned(), value.to_owned());
            name_of(&entry).map(|name| name.to_string())
        };
        assert_eq!(entry(annotation::REF_NAME, "latest"), None);
        let app = Some("docker.io/library/app:1".to_owned());
        assert_eq!(entry(annotation::REF_NAME, "app:1"), app);
        assert_eq!(
            entry(annotation::CONTAINERD_NAME, "docker.io/library/app:1"),
            app
        );
        assert_eq!(entry(annotation::REF_NAME, "UPPER/x:1 2"), None);
    }
}
