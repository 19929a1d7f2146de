//! Directories of `--cache-from type=local,src=DIRECTORY` and `--cache-to type=local,dest=DIRECTORY`: which there are, and
//! what is written there. They are layouts of OCI; a blob is the file that its digest names, so nobody needs to hash it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use onggi_model::{Digest, csv};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::args::Matches;
use crate::error::{Result, path_error};

const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256";
const NAME: &str = "org.opencontainers.image.ref.name";
/// The largest document.
const DOCUMENT: u64 = 4 << 20;

/// The directories that flags name, as they name them.
pub(super) fn directories(matches: &Matches) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (flag, key) in [("cache-from", "src"), ("cache-to", "dest")] {
        for text in matches.all(flag) {
            let fields = csv(text);
            let value = |name: &str| {
                let fields = fields.iter().filter_map(|field| field.split_once('='));
                let mut fields = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name));
                fields.next_back().map(|(_, value)| value.to_owned())
            };
            if value("type").as_deref() == Some("local") {
                all.extend(value(key).filter(|path| !path.is_empty()));
            }
        }
    }
    all
}

/// What is in a directory: `index.json`, and blobs with their hashes and sizes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) index: Option<Vec<u8>>,
    pub(super) blobs: Vec<(PathBuf, [u8; 32], u64)>,
}

/// Looks what is there; of a directory that is not there nothing.
///
/// # Errors
/// What cannot be read.
pub(super) fn find(directory: &Path) -> Result<Found> {
    let mut found = Found::default();
    let failed =
        |path: &Path, error: &io::Error| path_error("open", &path.to_string_lossy(), error);
    let index = directory.join(INDEX);
    match read(&index) {
        Ok(bytes) => found.index = Some(bytes),
        Err(error) if is_nothing(&error) => return Ok(found),
        Err(error) => return Err(failed(&index, &error)),
    }
    let blobs = directory.join(BLOBS);
    let entries = match fs::read_dir(&blobs) {
        Err(error) if is_nothing(&error) => return Ok(found),
        entries => entries.map_err(|error| failed(&blobs, &error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(&blobs, &error))?;
        let name = entry.file_name();
        // Whatever else is there is not ours.
        let (Some(digest), Ok(status)) = (name.to_str().and_then(hash), entry.metadata()) else {
            continue;
        };
        if status.is_file() {
            found.blobs.push((entry.path(), digest, status.len()));
        }
    }
    Ok(found)
}

/// Whoever writes there is told more.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn hash(hex: &str) -> Option<[u8; 32]> {
    let digest = Digest::parse(&format!("sha256:{hex}")).ok()?;
    let digits = digest.hex().as_bytes().chunks_exact(2);
    let bytes =
        digits.filter_map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
    bytes.collect::<Vec<u8>>().try_into().ok()
}

/// Writes a blob, or what `index.json` is to say where there is no digest, of pieces that come until one is none. What
/// breaks off before leaves nothing. Blocks.
///
/// # Errors
/// Why it is not there now.
pub(super) fn write(
    directory: &Path,
    digest: &str,
    mut pieces: mpsc::Receiver<Option<Bytes>>,
) -> std::result::Result<(), String> {
    if digest.is_empty() {
        let mut bytes = Vec::new();
        while let Some(piece) = next(&mut pieces)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > DOCUMENT {
                return Err("a manifest that is too long".to_owned());
            }
        }
        let entry = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        return put(directory, entry).map_err(|error| told(&directory.join(INDEX), &error));
    }
    let wrong = |_| format!("{digest} is no digest");
    let digest = Digest::parse(digest).map_err(wrong)?;
    let blobs = directory.join(BLOBS);
    fs::create_dir_all(&blobs).map_err(|error| told(&blobs, &error))?;
    let failed = |error: io::Error| told(&blobs.join(digest.hex()), &error);
    let mut file = New::create(&blobs, digest.hex()).map_err(failed)?;
    let mut hash = Sha256::new();
    while let Some(piece) = next(&mut pieces)? {
        hash.update(&piece);
        file.file.write_all(&piece).map_err(failed)?;
    }
    if Digest::sha256(hash.finalize().into()) != digest {
        return Err(format!("{digest} came as something else"));
    }
    file.done().map_err(failed)
}

/// The next piece; nothing at the end.
fn next(pieces: &mut mpsc::Receiver<Option<Bytes>>) -> std::result::Result<Option<Bytes>, String> {
    let piece = pieces.blocking_recv();
    piece.ok_or_else(|| "the daemon is gone".to_owned())
}

fn told(path: &Path, error: &io::Error) -> String {
    path_error("write", &path.to_string_lossy(), error).message
}

/// Has `index.json` say that a cache is there, in the place of the one with the same tag, whose blobs go.
fn put(directory: &Path, entry: Value) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    // Builds that write at the same time do not lose each other's.
    let lock = File::open(directory)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let mut index = match read(&directory.join(INDEX)) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
        }),
        Err(error) => return Err(error),
    };
    let manifests = index["manifests"].as_array().cloned().unwrap_or_default();
    let tag = |one: &Value| one["annotations"][NAME].clone();
    let (old, mut manifests): (Vec<Value>, Vec<Value>) = manifests
        .into_iter()
        .partition(|one| tag(one) == tag(&entry));
    manifests.push(entry);
    index["manifests"] = manifests.clone().into();
    for (name, value) in [
        ("oci-layout", json!({ "imageLayoutVersion": "1.0.0" })),
        (INDEX, index),
    ] {
        let mut file = New::create(directory, name)?;
        file.file.write_all(value.to_string().as_bytes())?;
        file.done()?;
    }
    let (mut before, mut now) = (BTreeSet::new(), BTreeSet::new());
    old.iter()
        .for_each(|one| led_to(directory, one, &mut before));
    manifests
        .iter()
        .for_each(|one| led_to(directory, one, &mut now));
    for blob in before.difference(&now) {
        // What stays takes room, and no more.
        let _ = fs::remove_file(directory.join(BLOBS).join(blob));
    }
    Ok(())
}

/// The blobs that a descriptor leads to, by their files.
fn led_to(directory: &Path, descriptor: &Value, blobs: &mut BTreeSet<String>) {
    let digest = descriptor["digest"].as_str();
    let Some(Ok(digest)) = digest.map(Digest::parse) else {
        return;
    };
    let kind = descriptor["mediaType"].as_str().unwrap_or_default();
    let is_document = [".manifest.", ".index.", ".list."]
        .iter()
        .any(|word| kind.contains(word));
    if !blobs.insert(digest.hex().to_owned()) || !is_document {
        return;
    }
    let bytes = read(&directory.join(BLOBS).join(digest.hex())).unwrap_or_default();
    let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    led_to(directory, &document["config"], blobs);
    for list in ["layers", "manifests", "blobs"] {
        let list = document[list].as_array().into_iter().flatten();
        list.for_each(|one| led_to(directory, one, blobs));
    }
}

/// The bytes of a document.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(DOCUMENT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that is there when all of it is.
struct New {
    file: File,
    path: PathBuf,
    to: PathBuf,
}

impl New {
    fn create(directory: &Path, name: &str) -> io::Result<Self> {
        let path = directory.join(format!(".{name}.{}", std::process::id()));
        let file = File::create(&path)?;
        let to = directory.join(name);
        Ok(Self { file, path, to })
    }

    fn done(self) -> io::Result<()> {
        fs::rename(&self.path, &self.to)
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // Where it was renamed there is none.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
