//! What the surroundings decide: environment variables, `config.json`, and which daemon is meant.

use std::collections::BTreeMap;
use std::path::PathBuf;

use onggi_client::{Endpoint, Version};

use crate::args::Matches;
use crate::error::{Error, Result, path_error};

/// The socket of onggid where nothing else is said.
pub(crate) const DEFAULT_SOCKET: &str = "/run/onggi/onggi.sock";

/// Environment variables, as given to the program.
pub type Environment = BTreeMap<String, String>;

/// The settings of one run.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) endpoint: Option<Endpoint>,
    /// Whether the endpoint is the default one, whose daemon may be started on demand.
    pub(crate) on_demand: bool,
    pub(crate) api_version: Option<Version>,
    pub(crate) debug: bool,
    pub(crate) file: ConfigFile,
}

/// What is read from `config.json`; everything else in there is somebody else's.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConfigFile {
    pub(crate) auths: BTreeMap<String, StoredAuth>,
    pub(crate) detach_keys: String,
    pub(crate) ps_format: String,
    pub(crate) images_format: String,
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

impl Settings {
    /// Gathers options, environment and file; options win, the file loses.
    pub(crate) fn new(environment: &Environment, globals: &Matches) -> Result<Self> {
        let var = |name: &str| {
            environment
                .get(name)
                .map(String::as_str)
                .filter(|v| !v.is_empty())
        };
        crate::program::check_log_level(globals.text("log-level"))?;
        for flag in ["tls", "tlsverify"] {
            if globals.on(flag) {
                return Err(Error::new(format!(
                    "--{flag}: TLS to the daemon is not supported yet"
                )));
            }
        }
        if var("DOCKER_TLS_VERIFY").is_some() {
            return Err(Error::new(
                "DOCKER_TLS_VERIFY: TLS to the daemon is not supported yet",
            ));
        }
        let directory = globals
            .one("config")
            .map(PathBuf::from)
            .or_else(|| var("DOCKER_CONFIG").map(PathBuf::from))
            .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".docker")));
        let file = match directory {
            Some(directory) => ConfigFile::read(&directory.join("config.json"))?,
            None => ConfigFile::default(),
        };
        let hosts: Vec<&str> = globals.all("host").collect();
        if hosts.len() > 1 {
            return Err(Error::new("specify only one -H"));
        }
        if let Some(name) = globals.one("context") {
            if !hosts.is_empty() {
                return Err(Error::new(
                    "conflicting options: cannot specify both --host and --context",
                ));
            }
            if !matches!(name, "" | "default") {
                return Err(no_context(name));
            }
        }
        let host = hosts.first().copied().or_else(|| var("DOCKER_HOST"));
        let context = var("DOCKER_CONTEXT").unwrap_or(&file.current_context);
        if host.is_none() && globals.one("context").is_none() && !matches!(context, "" | "default")
        {
            return Err(no_context(context));
        }
        let (endpoint, on_demand) = match host {
            Some(host) => {
                let endpoint =
                    Endpoint::parse(host).map_err(|error| Error::new(error.to_string()))?;
                (endpoint, false)
            }
            None => (Endpoint::Unix(PathBuf::from(DEFAULT_SOCKET)), true),
        };
        let api_version = match var("DOCKER_API_VERSION") {
            None => None,
            Some(text) => Some(Version::parse(text).ok_or_else(|| {
                Error::new(format!("DOCKER_API_VERSION: {text:?} is no API version"))
            })?),
        };
        Ok(Settings {
            endpoint: Some(endpoint),
            on_demand,
            api_version,
            debug: globals.on("debug"),
            file,
        })
    }
}

fn no_context(name: &str) -> Error {
    Error::new(format!(
        "context {name:?}: contexts are not supported; name the daemon with -H or DOCKER_HOST"
    ))
}

impl ConfigFile {
    fn read(path: &std::path::Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => return Ok(Self::default()),
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(path_error("open", &path.display().to_string(), &error)),
        };
        serde_json::from_str(&text).map_err(|error| {
            Error::new(format!("loading config file: {}: {error}", path.display()))
        })
    }

    /// The login for a registry, by its domain, in the form the API wants; nothing when there is none.
    pub(crate) fn auth(&self, domain: &str) -> Option<serde_json::Value> {
        let keys: &[&str] = if domain == "docker.io" {
            &[
                "https://index.docker.io/v1/",
                "docker.io",
                "index.docker.io",
            ]
        } else {
            &[domain]
        };
        let (server, stored) = self.auths.iter().find(|(server, _)| {
            let bare = server
                .trim_start_matches("https://")
                .trim_start_matches("http://")
                .split('/')
                .next()
                .unwrap_or_default();
            keys.contains(&server.as_str()) || keys.contains(&bare)
        })?;
        use base64::Engine as _;
        let (mut username, mut password) = (stored.username.clone(), stored.password.clone());
        if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(&stored.auth)
            && let Ok(text) = String::from_utf8(bytes)
            && let Some((user, secret)) = text.split_once(':')
        {
            username = user.to_owned();
            password = secret.trim_end_matches('\0').to_owned();
        }
        let mut json = serde_json::Map::new();
        for (key, value) in [
            ("username", username.as_str()),
            ("password", password.as_str()),
            ("serveraddress", server.as_str()),
            ("identitytoken", stored.identitytoken.as_str()),
            ("registrytoken", stored.registrytoken.as_str()),
        ] {
            if !value.is_empty() {
                json.insert(key.to_owned(), value.into());
            }
        }
        Some(json.into())
    }

    /// Whether a helper program keeps the login for `domain`.
    pub(crate) fn helper(&self, domain: &str) -> Option<&str> {
        self.cred_helpers
            .get(domain)
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
