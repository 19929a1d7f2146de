//! `config.json` of the client: formats, keys, logins, proxies. What else is in there is somebody else's, and stays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onggi_model::Secret;

use super::credentials::Credentials;
use crate::error::{Error, Result, path_error};

/// What is read from `config.json`; everything else in there is somebody else's.
#[derive(Debug, Default, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConfigFile {
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) auths: BTreeMap<String, StoredAuth>,
    pub(crate) detach_keys: String,
    pub(crate) ps_format: String,
    pub(crate) images_format: String,
    pub(crate) networks_format: String,
    pub(crate) volumes_format: String,
    pub(crate) stats_format: String,
    #[serde(rename = "HttpHeaders")]
    pub(crate) http_headers: BTreeMap<String, String>,
    #[serde(rename = "cliPluginsExtraDirs")]
    pub(crate) plugin_directories: Vec<PathBuf>,
    pub(crate) prune_filters: Vec<String>,
    pub(crate) current_context: String,
    pub(crate) proxies: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) creds_store: String,
    pub(crate) cred_helpers: BTreeMap<String, String>,
}

/// A login as `config.json` keeps it.
#[derive(Debug, Default, Clone, serde::Deserialize)]
#[serde(default)]
pub(crate) struct StoredAuth {
    pub(crate) auth: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) identitytoken: String,
    pub(crate) registrytoken: String,
}

impl ConfigFile {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => return Ok(Self::default()),
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(path_error("open", &path.display().to_string(), &error)),
        };
        serde_json::from_str(&text).map_err(|error| {
            Error::new(format!(
                "Error parsing config file ({}): {error}",
                path.display()
            ))
        })
    }

    /// Sets or, with nothing, removes one key of the file at `path`; what else is in there stays as it is.
    pub(crate) fn set(path: &Path, key: &str, value: Option<&str>) -> Result<()> {
        Self::change(path, |document| {
            match value {
                Some(value) => document.insert(key.to_owned(), value.into()),
                None => document.shift_remove(key),
            };
        })
    }

    /// Sets or, with nothing, removes the login for a registry in the file at `path`.
    pub(crate) fn set_auth(
        path: &Path,
        server: &str,
        auth: Option<serde_json::Value>,
    ) -> Result<()> {
        Self::change(path, |document| {
            let Some(auths) = document.get_mut("auths").and_then(|a| a.as_object_mut()) else {
                return;
            };
            match auth {
                Some(auth) => auths.insert(server.to_owned(), auth),
                None => auths.shift_remove(server),
            };
        })
    }

    fn change(
        path: &Path,
        change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
    ) -> Result<()> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => text,
            Ok(_) => "{}".to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(path_error("open", &path.display().to_string(), &error)),
        };
        let mut document: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)
            .map_err(|error| {
                Error::new(format!("loading config file: {}: {error}", path.display()))
            })?;
        document
            .entry("auths")
            .or_insert_with(|| serde_json::json!({}));
        change(&mut document);
        let text = onggi_gotmpl::write_pretty(&document.into(), "\t");
        write_whole(path, text.as_bytes())
    }

    /// The login for a registry that the file itself keeps, by the registry's address.
    pub(crate) fn auth(&self, server: &str) -> Option<Credentials> {
        let bare = |server: &str| {
            let server = server
                .trim_start_matches("https://")
                .trim_start_matches("http://");
            server.split('/').next().unwrap_or_default().to_owned()
        };
        let (_, stored) = self
            .auths
            .get_key_value(server)
            .or_else(|| self.auths.iter().find(|(key, _)| bare(key) == bare(server)))?;
        use base64::Engine as _;
        let (mut username, mut password) = (stored.username.clone(), stored.password.clone());
        if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(&stored.auth)
            && let Ok(text) = String::from_utf8(bytes)
            && let Some((user, secret)) = text.split_once(':')
        {
            username = user.to_owned();
            password = secret.trim_end_matches('\0').to_owned();
        }
        Some(Credentials {
            server: server.to_owned(),
            username,
            password: Secret::new(password),
            identity_token: Secret::new(stored.identitytoken.clone()),
            registry_token: Secret::new(stored.registrytoken.clone()),
        })
    }

    /// The helper program that keeps the login for a registry.
    pub(crate) fn helper(&self, server: &str) -> Option<&str> {
        self.cred_helpers
            .get(server)
            .or(Some(&self.creds_store))
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// The environment that `config.json` gives to new containers for proxies of this daemon.
    pub(crate) fn proxy_environment(&self, host: &str) -> Vec<(String, String)> {
        const KEYS: [(&str, &str); 5] = [
            ("httpProxy", "HTTP_PROXY"),
            ("httpsProxy", "HTTPS_PROXY"),
            ("noProxy", "NO_PROXY"),
            ("ftpProxy", "FTP_PROXY"),
            ("allProxy", "ALL_PROXY"),
        ];
        let Some(proxies) = self
            .proxies
            .get(host)
            .or_else(|| self.proxies.get("default"))
        else {
            return Vec::new();
        };
        KEYS.iter()
            .filter_map(|(key, name)| Some((name, proxies.get(*key).filter(|v| !v.is_empty())?)))
            .flat_map(|(name, value)| {
                [
                    (name.to_string(), value.clone()),
                    (name.to_lowercase(), value.clone()),
                ]
            })
            .collect()
    }
}

/// Writes a file that only its owner may read, whole or not at all; makes its folder.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    // A link is written through: configurations are kept in repositories of dot files.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let shown = |path: &Path| path.display().to_string();
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| path_error("mkdir", &shown(directory), &error))?;
    }
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, &path));
    written.map_err(|error| {
        // The failure is told; what is left of it needs no second word.
        let _ = std::fs::remove_file(&beside);
        path_error("write", &shown(&path), &error)
    })
}
