//! Images made here, the same bytes every time: no hub is needed.

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::process::Command;

/// Something in a layer.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A directory: path, mode.
    Directory(String, u32),
    /// A file: path, mode, content.
    File(String, u32, Vec<u8>),
    /// A symbolic link: path, target.
    Link(String, String),
    /// A hard link: path, target in the same layer.
    HardLink(String, String),
    /// One of these with more than that.
    With(Box<Entry>, Traits),
}

/// What else an entry has.
#[derive(Clone, Debug, Default)]
pub struct Traits {
    /// User and group; root's without.
    pub owner: (u64, u64),
    /// When it was changed, in seconds since the epoch.
    pub time: u64,
    /// Extended attributes.
    pub attributes: Vec<(String, Vec<u8>)>,
}

/// A layer: a tar with owner root, time 0, and entries in the order given.
#[derive(Clone, Debug)]
pub struct Layer {
    tar: Vec<u8>,
}

impl Layer {
    /// From entries.
    ///
    /// # Errors
    /// For names that a tar cannot hold.
    pub fn new(entries: &[Entry]) -> Result<Self> {
        let mut tar = tar::Builder::new(Vec::new());
        for entry in entries {
            append(&mut tar, entry)?;
        }
        Ok(Self {
            tar: tar.into_inner().context("close the layer")?,
        })
    }

    /// From a finished tar, well-formed or not.
    pub fn from_tar(tar: Vec<u8>) -> Self {
        Self { tar }
    }

    /// The digest of the plain tar, which a configuration names.
    pub fn diff_id(&self) -> String {
        digest(&self.tar)
    }

    /// The tar, plain.
    pub fn tar(&self) -> &[u8] {
        &self.tar
    }

    /// The tar, compressed, as a registry holds it.
    ///
    /// # Errors
    /// None that memory does not make.
    pub fn gzip(&self) -> Result<Vec<u8>> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&self.tar)?;
        Ok(gzip.finish()?)
    }
}

/// An image: layers and what they run.
#[derive(Clone, Debug)]
pub struct Image {
    layers: Vec<Layer>,
    config: Value,
    architecture: String,
}

impl Image {
    /// From layers, for this machine's architecture, with an empty configuration.
    pub fn new(layers: Vec<Layer>) -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            layers,
            config: json!({}),
            architecture: architecture.to_owned(),
        }
    }

    /// Debian's busybox-static with a link for each of its commands, and the folders a small system has.
    ///
    /// # Errors
    /// When `/bin/busybox` is not there or is not static.
    pub fn busybox() -> Result<Self> {
        let program = std::fs::read("/bin/busybox").context("busybox-static is not installed")?;
        if !is_static(&program) {
            bail!("/bin/busybox is not static: install busybox-static");
        }
        let list = Command::new("/bin/busybox")
            .arg("--list")
            .output()
            .context("busybox --list")?;
        let list = String::from_utf8(list.stdout).context("busybox --list")?;
        let mut entries: Vec<Entry> = [
            "bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "var", "var/www",
        ]
        .map(|path| Entry::Directory(path.to_owned(), 0o755))
        .into();
        entries.push(Entry::Directory("root".to_owned(), 0o700));
        entries.push(Entry::Directory("tmp".to_owned(), 0o1777));
        for (path, text) in [
            (
                "etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
            ),
            (
                "etc/group",
                "root:x:0:\ndaemon:x:1:\nwheel:x:10:root\nnogroup:x:65534:\n",
            ),
        ] {
            entries.push(Entry::File(
                path.to_owned(),
                0o644,
                text.as_bytes().to_vec(),
            ));
        }
        entries.push(Entry::File("bin/busybox".to_owned(), 0o755, program));
        let mut names: Vec<&str> = list
            .lines()
            .filter(|n| !n.is_empty() && *n != "busybox")
            .collect();
        names.sort_unstable();
        entries.extend(
            names
                .iter()
                .map(|n| Entry::Link(format!("bin/{n}"), "busybox".to_owned())),
        );
        entries.push(Entry::Link(
            "usr/bin/env".to_owned(),
            "../../bin/busybox".to_owned(),
        ));
        let image = Self::new(vec![Layer::new(&entries)?]);
        Ok(image.config(json!({
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["sh"],
        })))
    }

    /// With this `config` object (Docker's words: `Env`, `Cmd`, `User`, ...).
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// For another architecture.
    #[must_use]
    pub fn architecture(mut self, name: &str) -> Self {
        name.clone_into(&mut self.architecture);
        self
    }

    /// With one more layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The configuration document.
    pub fn config_bytes(&self) -> Vec<u8> {
        let history: Vec<Value> = self
            .layers
            .iter()
            .map(|_| json!({"created": EPOCH, "created_by": "testkit"}))
            .collect();
        let diff_ids: Vec<String> = self.layers.iter().map(Layer::diff_id).collect();
        json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": EPOCH,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        })
        .to_string()
        .into_bytes()
    }

    /// The image's ID: the digest of its configuration.
    pub fn id(&self) -> String {
        digest(&self.config_bytes())
    }

    /// What `docker save` writes.
    ///
    /// # Errors
    /// None that memory does not make.
    pub fn save(&self, tags: &[&str]) -> Result<Vec<u8>> {
        let config = self.config_bytes();
        let config_name = format!("{}.json", hex(&config));
        let mut files: Vec<(String, Vec<u8>)> = vec![(config_name.clone(), config)];
        let mut layers = Vec::new();
        for layer in &self.layers {
            let name = format!("{}/layer.tar", hex(&layer.tar));
            files.push((name.clone(), layer.tar.clone()));
            layers.push(name);
        }
        let manifest = json!([{"Config": config_name, "RepoTags": tags, "Layers": layers}]);
        files.push((
            "manifest.json".to_owned(),
            manifest.to_string().into_bytes(),
        ));
        let entries: Vec<Entry> = files
            .into_iter()
            .map(|(name, data)| Entry::File(name, 0o644, data))
            .collect();
        Ok(Layer::new(&entries)?.tar)
    }

    /// The image as a registry holds it.
    ///
    /// # Errors
    /// None that memory does not make.
    pub fn distribution(&self) -> Result<Distribution> {
        let config = self.config_bytes();
        let mut blobs = vec![(digest(&config), config)];
        let mut layers = Vec::new();
        for layer in &self.layers {
            let data = layer.gzip()?;
            layers.push(json!({
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": data.len(),
                "digest": digest(&data),
            }));
            blobs.push((digest(&data), data));
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": blobs[0].1.len(),
                "digest": blobs[0].0,
            },
            "layers": layers,
        });
        Ok(Distribution {
            manifest: serde_json::to_vec_pretty(&manifest)?,
            blobs,
        })
    }
}

/// An image as a registry holds it.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// The manifest, Docker schema 2.
    pub manifest: Vec<u8>,
    /// Configuration first, then the layers, each with its digest.
    pub blobs: Vec<(String, Vec<u8>)>,
}

/// Media type of the manifests made here.
pub(crate) const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

const EPOCH: &str = "1970-01-01T00:00:00Z";

/// `sha256:` and the digest.
pub fn digest(data: &[u8]) -> String {
    format!("sha256:{}", hex(data))
}

/// `sha512:` and the digest.
pub fn digest_512(data: &[u8]) -> String {
    let hash = sha2::Sha512::digest(data);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha512:{hex}")
}

fn hex(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Whether a 64-bit little-endian ELF file asks for no interpreter (PT_INTERP).
fn is_static(elf: &[u8]) -> bool {
    let number = |at: usize, size: usize| -> usize {
        elf.iter()
            .skip(at)
            .take(size)
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    elf.starts_with(b"\x7fELF\x02\x01") && (0..count).all(|i| number(table + i * size, 4) != 3)
}

fn append(tar: &mut tar::Builder<Vec<u8>>, entry: &Entry) -> Result<()> {
    append_with(tar, entry, &Traits::default())
}

fn append_with(tar: &mut tar::Builder<Vec<u8>>, entry: &Entry, traits: &Traits) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_uid(traits.owner.0);
    header.set_gid(traits.owner.1);
    header.set_mtime(traits.time);
    header.set_size(0);
    if !traits.attributes.is_empty() {
        let records: Vec<(String, &[u8])> = traits
            .attributes
            .iter()
            .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice()))
            .collect();
        tar.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), *value)))?;
    }
    match entry {
        Entry::With(entry, traits) => return append_with(tar, entry, traits),
        Entry::Directory(path, mode) => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(*mode);
            tar.append_data(&mut header, format!("{path}/"), std::io::empty())
        }
        Entry::File(path, mode, data) => {
            header.set_mode(*mode);
            header.set_size(data.len() as u64);
            tar.append_data(&mut header, path, data.as_slice())
        }
        Entry::Link(path, target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            tar.append_link(&mut header, path, target)
        }
        Entry::HardLink(path, target) => {
            header.set_entry_type(tar::EntryType::Link);
            header.set_mode(0o644);
            tar.append_link(&mut header, path, target)
        }
    }
    .with_context(|| format!("append {entry:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_every_time() {
        let make = || {
            Image::busybox()
                .expect("busybox")
                .save(&["busybox:latest"])
                .expect("saves")
        };
        assert_eq!(digest(&make()), digest(&make()));
    }

    #[test]
    fn a_saved_image_names_what_it_holds() {
        let image = Image::new(vec![
            Layer::new(&[Entry::File("a".into(), 0o644, b"x".to_vec())]).expect("layer"),
        ]);
        let saved = image.save(&["a:b"]).expect("saves");
        let mut names = Vec::new();
        for entry in tar::Archive::new(saved.as_slice())
            .entries()
            .expect("a tar")
        {
            names.push(
                entry
                    .expect("an entry")
                    .path()
                    .expect("a path")
                    .display()
                    .to_string(),
            );
        }
        assert_eq!(names.len(), 3);
        assert_eq!(
            format!("sha256:{}", names[0].trim_end_matches(".json")),
            image.id()
        );
        assert_eq!(names[2], "manifest.json");
    }
}
