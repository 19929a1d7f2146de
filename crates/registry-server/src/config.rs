//! The configuration: a JSON file, and flags for the keys that everybody needs. A key nobody knows is refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use onggi_model::{ErrorKind, Fault, Secret, units};
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::auth::rules::Rule;
use crate::storage::Policy;

/// Where the file is, when nobody says otherwise. It does not have to be there.
pub(crate) const FILE: &str = "/etc/onggi/registry.json";

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("configuration {}", path.display())]
    Syntax {
        /// Its path.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A value that cannot be meant.
    #[error("{key}: {message}")]
    Value {
        /// The key of the file.
        key: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl Fault for ConfigError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

pub(crate) fn wrong(key: &'static str, message: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        key,
        message: message.into(),
    }
}

/// The file, after the flags.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Config {
    /// Where to listen: `tcp://HOST:PORT`, `unix://PATH`.
    pub(crate) listen: Vec<String>,
    /// The folder everything is in.
    pub(crate) storage: PathBuf,
    /// TLS for the TCP addresses.
    pub(crate) tls: Option<Tls>,
    /// Who may do what. Without it, everybody may do everything.
    pub(crate) auth: Option<Auth>,
    /// Whether tags, manifests and blobs may be deleted.
    pub(crate) delete: bool,
    /// Whether an index may list manifests that the repository does not have.
    pub(crate) sparse_indexes: bool,
    /// Registries whose content is fetched when somebody asks for it.
    pub(crate) upstreams: Vec<Upstream>,
    /// What goes, and when.
    pub(crate) collect: Collect,
    /// What nobody may exceed.
    pub(crate) limits: Limits,
    /// Whether each request is a line of JSON on standard output.
    pub(crate) access_log: bool,
    /// How long requests may go on after SIGTERM.
    #[serde(deserialize_with = "duration")]
    pub(crate) shutdown_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            storage: "/var/lib/onggi-registry".into(),
            tls: None,
            auth: None,
            delete: true,
            sparse_indexes: false,
            upstreams: Vec::new(),
            collect: Collect::default(),
            limits: Limits::default(),
            access_log: true,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// Certificates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The authority clients must have a certificate of.
    pub(crate) client_ca: Option<PathBuf>,
}

/// Who may do what.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Auth {
    /// Users and bcrypt hashes of their passwords.
    pub(crate) htpasswd: Option<PathBuf>,
    /// Bearer tokens.
    pub(crate) token: Option<Token>,
    /// Whether those who do not say who they are may read.
    pub(crate) anonymous: bool,
    /// Who may do what where; without rules every user may do everything.
    pub(crate) access: Vec<Rule>,
}

/// Bearer tokens: our own, or another issuer's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Token {
    /// Who the tokens are for.
    pub(crate) service: String,
    /// Who issues them.
    pub(crate) issuer: String,
    /// Where clients get them; without it, here, for the users of the htpasswd file.
    pub(crate) realm: Option<String>,
    /// Public keys of the other issuer: PEM files and JWKS files.
    pub(crate) keys: Vec<PathBuf>,
    /// How long our own are good for.
    #[serde(deserialize_with = "duration")]
    pub(crate) lifetime: Duration,
}

impl Default for Token {
    fn default() -> Self {
        Self {
            service: "onggi-registry".to_owned(),
            issuer: "onggi-registry".to_owned(),
            realm: None,
            keys: Vec::new(),
            lifetime: Duration::from_secs(300),
        }
    }
}

/// A registry we fetch from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Upstream {
    /// Names below `PREFIX/` are this registry's; empty for all names.
    pub(crate) prefix: String,
    /// Its address: `https://HOST[:PORT]`.
    #[serde(deserialize_with = "url")]
    pub(crate) url: Url,
    /// Who we are there.
    #[serde(default)]
    pub(crate) username: String,
    /// The file with the password.
    pub(crate) password_file: Option<PathBuf>,
    /// The password, read from the file.
    #[serde(skip)]
    pub(crate) password: Secret<String>,
    /// A folder with `HOST[:PORT]/*.crt`, as Docker's `certs.d`.
    pub(crate) certificates: Option<PathBuf>,
    /// Whether its certificate is taken as it is.
    #[serde(default)]
    pub(crate) insecure: bool,
    /// How long a tag is believed before it is looked at again.
    #[serde(default = "ten_minutes", deserialize_with = "duration")]
    pub(crate) ttl: Duration,
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// What goes, and when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Collect {
    /// Between two rounds; 0 for never.
    #[serde(deserialize_with = "duration")]
    pub(crate) interval: Duration,
    /// How long a blob that nothing holds stays.
    #[serde(deserialize_with = "duration")]
    pub(crate) grace: Duration,
    /// How long a manifest without tags stays; without it for ever.
    #[serde(deserialize_with = "some_duration")]
    pub(crate) untagged: Option<Duration>,
    /// How long an upload stays that nobody goes on with.
    #[serde(deserialize_with = "duration")]
    pub(crate) uploads: Duration,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(3600),
            grace: Duration::from_secs(3600),
            untagged: None,
            uploads: Duration::from_secs(24 * 3600),
        }
    }
}

impl Collect {
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            grace: self.grace,
            untagged: self.untagged,
            uploads: self.uploads,
        }
    }
}

/// What nobody may exceed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Limits {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Uploads at once.
    pub(crate) uploads: usize,
    /// Bytes of one blob.
    #[serde(deserialize_with = "size")]
    pub(crate) blob: u64,
    /// Seconds for the head of a request, and between requests.
    #[serde(deserialize_with = "duration")]
    pub(crate) head_timeout: Duration,
    /// Seconds for the next piece of a body, in either direction.
    #[serde(deserialize_with = "duration")]
    pub(crate) body_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            uploads: 4096,
            blob: 64 << 30,
            head_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
        }
    }
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))
}

/// `90s`, `1h30m`: Go's durations.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    units::parse_duration(&text).map_err(|error| {
        let message = format!("{error}: write it as \"90s\", \"15m\" or \"1h30m\"");
        serde::de::Error::custom(message)
    })
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// `10g`, or a number of bytes.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    match Size::deserialize(deserializer)? {
        Size::Bytes(bytes) => Ok(bytes),
        Size::Text(text) => units::ram_in_bytes(&text)
            .ok()
            .and_then(|bytes| u64::try_from(bytes).ok())
            .ok_or_else(|| serde::de::Error::custom(format!("invalid size: {text:?}"))),
    }
}

impl Config {
    /// Reads a file; without a path the usual one, where it is there.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub(crate) fn read(path: Option<&Path>) -> Result<Config, ConfigError> {
        let (path, must) = match path {
            Some(path) => (path, true),
            None => (Path::new(FILE), false),
        };
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if !must && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Config::default());
            }
            Err(source) => {
                let path = path.to_owned();
                return Err(ConfigError::File { path, source });
            }
        };
        serde_json::from_slice(&text).map_err(|source| ConfigError::Syntax {
            path: path.to_owned(),
            source,
        })
    }

    /// Checks what each value and what they together mean, and reads the passwords of upstreams.
    ///
    /// # Errors
    /// [`ConfigError`], with the key and a way out.
    pub(crate) fn check(&mut self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            self.listen.push("tcp://127.0.0.1:5000".to_owned());
        }
        for address in &self.listen {
            Address::parse(address)?;
        }
        if !self.storage.is_absolute() {
            return Err(wrong("storage", "must be an absolute path"));
        }
        if let Some(auth) = &self.auth {
            auth.check()?;
        }
        if self.collect.grace < Duration::from_secs(1) {
            let message = "must be at least 1s: a push is not over before its manifest is there";
            return Err(wrong("collect.grace", message));
        }
        if self
            .collect
            .untagged
            .is_some_and(|age| age < self.collect.grace)
        {
            let message = "must not be shorter than collect.grace: the manifests of an index are pushed before it";
            return Err(wrong("collect.untagged", message));
        }
        for (key, zero) in [
            ("limits.connections", self.limits.connections == 0),
            ("limits.uploads", self.limits.uploads == 0),
            ("limits.blob", self.limits.blob == 0),
            ("limits.head-timeout", self.limits.head_timeout.is_zero()),
            ("limits.body-timeout", self.limits.body_timeout.is_zero()),
        ] {
            if zero {
                return Err(wrong(key, "must not be 0"));
            }
        }
        let mut prefixes = std::collections::BTreeSet::new();
        for upstream in &mut self.upstreams {
            upstream.check()?;
            if !prefixes.insert(upstream.prefix.clone()) {
                let message = format!("{:?} is there twice", upstream.prefix);
                return Err(wrong("upstreams.prefix", message));
            }
        }
        Ok(())
    }
}

impl Auth {
    fn check(&self) -> Result<(), ConfigError> {
        match &self.token {
            None if self.htpasswd.is_none() => {
                let message = "says nobody who may come in: add \"htpasswd\" or \"token\"";
                return Err(wrong("auth", message));
            }
            None if self.anonymous => {
                let message = "needs \"token\": clients do not read without a password where Basic is asked for; \"token\": {} is enough";
                return Err(wrong("auth.anonymous", message));
            }
            None => {}
            Some(token) => {
                if token.realm.is_some() == token.keys.is_empty() {
                    let message = "\"realm\" and \"keys\" belong to another issuer: give both, or neither to issue tokens here";
                    return Err(wrong("auth.token", message));
                }
                if token.realm.is_none() && self.htpasswd.is_none() {
                    let message = "tokens are issued here, for users of nobody: add \"htpasswd\", or \"realm\" and \"keys\" of another issuer";
                    return Err(wrong("auth.token", message));
                }
                if token.realm.is_some() && (self.htpasswd.is_some() || !self.access.is_empty()) {
                    let message = "another issuer says who may do what: leave out \"htpasswd\" and \"access\"";
                    return Err(wrong("auth.token", message));
                }
                if token.lifetime < Duration::from_secs(60) {
                    let message = "must be at least 60s, which is what clients take for granted";
                    return Err(wrong("auth.token.lifetime", message));
                }
            }
        }
        self.access.iter().try_for_each(Rule::check)
    }
}

impl Upstream {
    fn check(&mut self) -> Result<(), ConfigError> {
        use crate::name::RepositoryName;
        if !self.prefix.is_empty() && RepositoryName::parse(&self.prefix).is_none() {
            let message = format!("{:?} is no name of a repository", self.prefix);
            return Err(wrong("upstreams.prefix", message));
        }
        let url = &self.url;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            let message = format!("{url} is no address of a registry: https://HOST[:PORT]");
            return Err(wrong("upstreams.url", message));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            let message = format!("{url} has a path: registries are at the root of their host");
            return Err(wrong("upstreams.url", message));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let message = "has credentials in it: use \"username\" and \"password-file\"";
            return Err(wrong("upstreams.url", message));
        }
        if self.username.is_empty() != self.password_file.is_none() {
            let message = "\"username\" and \"password-file\" go together";
            return Err(wrong("upstreams", message));
        }
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
                path: path.clone(),
                source,
            })?;
            self.password = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        Ok(())
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A host and port.
    Tcp(String),
    /// A socket's path.
    Unix(PathBuf),
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Address, ConfigError> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err(wrong(
                    "listen",
                    format!("{text:?}: the path must be absolute"),
                ));
            }
            return Ok(Address::Unix(path.into()));
        }
        let address = text.strip_prefix("tcp://").unwrap_or(text);
        let port = address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() || address.contains("//") {
            let message = format!("{text:?}: write tcp://HOST:PORT or unix:///PATH");
            return Err(wrong("listen", message));
        }
        // `:5000` is every address, as elsewhere.
        Ok(Address::Tcp(match address.strip_prefix(':') {
            Some(port) => format!("[::]:{port}"),
            None => address.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Config, String> {
        let mut config: Config = serde_json::from_str(text).map_err(|e| e.to_string())?;
        config.check().map_err(|e| onggi_model::chain(&e))?;
        Ok(config)
    }

    #[test]
    fn what_is_meant() {
        let config = checked("{}").unwrap();
        assert_eq!(config.listen, ["tcp://127.0.0.1:5000"]);
        let config = checked(
            r#"{"listen": [":5000", "unix:///run/r.sock"], "limits": {"blob": "1g", "head-timeout": "5s"},
                "collect": {"untagged": "168h"}, "auth": {"htpasswd": "/h", "token": {}, "anonymous": true,
                "access": [{"repository": "team/*", "users": ["a"], "actions": ["read", "write"]}]},
                "upstreams": [{"prefix": "hub", "url": "https://registry.example", "ttl": "1m"}]}"#,
        )
        .unwrap();
        assert_eq!(config.limits.blob, 1 << 30);
        assert_eq!(config.limits.head_timeout, Duration::from_secs(5));
        assert_eq!(
            Address::parse(":5000").unwrap(),
            Address::Tcp("[::]:5000".to_owned())
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_key() {
        for (text, part) in [
            (r#"{"listne": []}"#, "unknown field `listne`"),
            (
                r#"{"auth": {"htpasswd": "/h", "anonymos": true}}"#,
                "unknown field `anonymos`",
            ),
            (r#"{"listen": ["5000"]}"#, "listen"),
            (r#"{"listen": ["http://x:1"]}"#, "listen"),
            (r#"{"listen": ["unix://x"]}"#, "absolute"),
            (r#"{"storage": "here"}"#, "storage"),
            (r#"{"auth": {}}"#, "htpasswd"),
            (
                r#"{"auth": {"htpasswd": "/h", "anonymous": true}}"#,
                "token",
            ),
            (r#"{"auth": {"token": {}}}"#, "htpasswd"),
            (r#"{"auth": {"token": {"realm": "https://a"}}}"#, "keys"),
            (
                r#"{"auth": {"htpasswd": "/h", "token": {"realm": "https://a", "keys": ["/k"]}}}"#,
                "htpasswd",
            ),
            (
                r#"{"auth": {"htpasswd": "/h", "token": {"lifetime": "1s"}}}"#,
                "60s",
            ),
            (
                r#"{"auth": {"htpasswd": "/h", "access": [{"repository": "a/**/b", "users": ["a"], "actions": ["read"]}]}}"#,
                "repository",
            ),
            (
                r#"{"auth": {"htpasswd": "/h", "access": [{"repository": "a", "users": ["a"], "actions": ["fly"]}]}}"#,
                "fly",
            ),
            (r#"{"collect": {"grace": "0s"}}"#, "grace"),
            (r#"{"collect": {"grace": "5"}}"#, "90s"),
            (r#"{"collect": {"untagged": "1m"}}"#, "untagged"),
            (r#"{"limits": {"connections": 0}}"#, "connections"),
            (
                r#"{"upstreams": [{"prefix": "A", "url": "https://a"}]}"#,
                "prefix",
            ),
            (
                r#"{"upstreams": [{"prefix": "a", "url": "ftp://a"}]}"#,
                "address",
            ),
            (
                r#"{"upstreams": [{"prefix": "a", "url": "https://a/b"}]}"#,
                "path",
            ),
            (
                r#"{"upstreams": [{"prefix": "a", "url": "https://u:p@a"}]}"#,
                "password-file",
            ),
            (
                r#"{"upstreams": [{"prefix": "a", "url": "https://a", "username": "u"}]}"#,
                "password-file",
            ),
            (
                r#"{"upstreams": [{"prefix": "a", "url": "https://a"}, {"prefix": "a", "url": "https://b"}]}"#,
                "twice",
            ),
        ] {
            let error = checked(text).map(|_| ()).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
