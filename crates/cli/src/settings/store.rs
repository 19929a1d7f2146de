//! The folder of contexts: `contexts/meta/<sha256 of the name>/meta.json` and `contexts/tls/<the same>/docker/*.pem`.

use std::path::{Path, PathBuf};

use onggi_client::Tls;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::file::write_whole;
use crate::error::{Error, Result, io_text, path_error};

/// The context that options and environment decide; it is not in the folder.
pub(crate) const DEFAULT: &str = "default";

/// The files of TLS, in the order they are told.
pub(crate) const PEMS: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// The folder of contexts.
pub(crate) struct Store {
    root: PathBuf,
}

/// What is kept of a context, as the document it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata(pub(crate) Value);

/// Files for TLS: name and content.
pub(crate) type Pems = Vec<(String, Vec<u8>)>;

impl Metadata {
    pub(crate) fn new(name: &str, description: &str, host: &str, skip_verify: bool) -> Self {
        let mut metadata = Metadata(json!({"Name": name, "Metadata": {}, "Endpoints": {}}));
        metadata.describe(description);
        metadata.point(host, skip_verify);
        metadata
    }

    pub(crate) fn name(&self) -> &str {
        self.0["Name"].as_str().unwrap_or_default()
    }

    pub(crate) fn description(&self) -> &str {
        self.0["Metadata"]["Description"]
            .as_str()
            .unwrap_or_default()
    }

    pub(crate) fn host(&self) -> &str {
        self.0["Endpoints"]["docker"]["Host"]
            .as_str()
            .unwrap_or_default()
    }

    pub(crate) fn skip_verify(&self) -> bool {
        self.0["Endpoints"]["docker"]["SkipTLSVerify"]
            .as_bool()
            .unwrap_or(false)
    }

    /// The same under another name.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.0["Name"] = name.into();
        self
    }

    pub(crate) fn describe(&mut self, description: &str) {
        let Some(about) = self.0["Metadata"].as_object_mut() else {
            return;
        };
        if description.is_empty() {
            about.shift_remove("Description");
        } else {
            about.insert("Description".to_owned(), description.into());
        }
    }

    pub(crate) fn point(&mut self, host: &str, skip_verify: bool) {
        self.0["Endpoints"]["docker"] = json!({"Host": host, "SkipTLSVerify": skip_verify});
    }
}

impl Store {
    /// The folder in the client's configuration.
    pub(crate) fn new(directory: &Path) -> Self {
        Store {
            root: directory.join("contexts"),
        }
    }

    /// Where the metadata of a context is.
    pub(crate) fn metadata_path(&self, name: &str) -> PathBuf {
        self.root.join("meta").join(folder(name))
    }

    /// Where the TLS files of a context are.
    pub(crate) fn tls_path(&self, name: &str) -> PathBuf {
        self.root.join("tls").join(folder(name))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.metadata_path(name).join("meta.json").exists()
    }

    pub(crate) fn read(&self, name: &str) -> Result<Metadata> {
        let path = self.metadata_path(name).join("meta.json");
        match std::fs::read(&path) {
            Ok(bytes) => parse(&bytes, &path),
            Err(error) => {
                let what = if error.kind() == std::io::ErrorKind::NotFound {
                    "context not found: "
                } else {
                    ""
                };
                Err(Error::new(format!(
                    "context {}: {what}open {}: {}",
                    crate::quote(name),
                    path.display(),
                    io_text(&error)
                )))
            }
        }
    }

    /// Every context but the default one, by name.
    pub(crate) fn list(&self) -> Result<Vec<Metadata>> {
        let folder = self.root.join("meta");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(path_error("open", &folder.display().to_string(), &error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry?.path().join("meta.json");
            match std::fs::read(&path) {
                Ok(bytes) => all.push(parse(&bytes, &path)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(path_error("open", &path.display().to_string(), &error)),
            }
        }
        all.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(all)
    }

    /// The address of a context, and how to reach it by TLS.
    pub(crate) fn endpoint(&self, name: &str) -> Result<(String, Option<Tls>)> {
        let metadata = self.read(name)?;
        let folder = self.tls_path(name).join("docker");
        let [authority, certificate, key] =
            PEMS.map(|name| Some(folder.join(name)).filter(|path| path.exists()));
        let verify = !metadata.skip_verify();
        let any = authority.is_some() || certificate.is_some() || key.is_some();
        let tls = (any || !verify).then_some(Tls {
            authority: authority.filter(|_| verify),
            certificate,
            key,
        });
        Ok((metadata.host().to_owned(), tls))
    }

    /// The TLS files of a context.
    pub(crate) fn pems(&self, name: &str) -> Pems {
        let folder = self.tls_path(name).join("docker");
        PEMS.iter()
            .filter_map(|pem| Some(((*pem).to_owned(), std::fs::read(folder.join(pem)).ok()?)))
            .collect()
    }

    /// Writes a context: first its TLS files, where there are new ones, then what makes it visible.
    pub(crate) fn write(&self, metadata: &Metadata, pems: Option<&Pems>) -> Result<()> {
        let name = metadata.name();
        if let Some(pems) = pems {
            remove(&self.tls_path(name))?;
            for (pem, bytes) in pems {
                write_whole(&self.tls_path(name).join("docker").join(pem), bytes)?;
            }
        }
        let path = self.metadata_path(name).join("meta.json");
        write_whole(&path, metadata.0.to_string().as_bytes())
    }

    /// Removes a context, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        remove(&self.metadata_path(name))?;
        remove(&self.tls_path(name))
    }
}

/// May a context be called so?
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::new("context name cannot be empty"));
    }
    if name == DEFAULT {
        return Err(Error::new("\"default\" is a reserved context name"));
    }
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = letters.all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c));
    if first && rest && name.len() > 1 {
        return Ok(());
    }
    Err(Error::new(format!(
        "context name {} is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\"",
        crate::quote(name)
    )))
}

fn folder(name: &str) -> String {
    Sha256::digest(name)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn parse(bytes: &[u8], path: &Path) -> Result<Metadata> {
    let document: Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::new(format!("parsing {}: {error}", path.display())))?;
    if document["Endpoints"].is_object() {
        return Ok(Metadata(document));
    }
    Err(Error::new(format!(
        "parsing {}: no endpoints in it",
        path.display()
    )))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(path_error("remove", &folder.display().to_string(), &error))
        }
        _ => Ok(()),
    }
}
