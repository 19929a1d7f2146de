//! What the daemon's configuration says about registries: mirrors, insecure ones, certificates. Files about single
//! registries are read in `registries`.
//!
//! Checked once, at the edge: a [`Config`] that [`Config::check`] accepted cannot fail later.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use onggi_model::{ErrorKind, Fault};
use url::Url;

use crate::auth_file::AuthFile;
use crate::registries::{Rule, fits};

/// How to reach registries.
#[derive(Debug, Clone)]
pub struct Config {
    /// Mirrors of docker.io, tried in this order before docker.io itself. A URL with an optional path.
    pub mirrors: Vec<String>,
    /// What is said about single registries.
    pub rules: Vec<Rule>,
    /// Registries that may be reached without TLS or with a certificate nobody vouches for:
    /// `host`, `host:port` or a CIDR. Loopback always is.
    pub insecure: Vec<String>,
    /// Proxies, instead of those of the environment.
    pub proxies: Option<Proxies>,
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Folders with one folder per registry (`host:port`), holding `*.crt` (authorities) and
    /// `*.cert` with `*.key` (ours), as Docker's `/etc/docker/certs.d`. All of them count.
    pub certificates: Vec<PathBuf>,
    /// How long one address may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long a registry may stay silent in the middle of an answer.
    pub stall_timeout: Duration,
    /// How often a failed transfer is begun again when it made no progress.
    pub attempts: u32,
    /// The first pause before trying again; it doubles with each try.
    pub backoff: Duration,
}

/// Proxies by the scheme they are for; empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://`.
    pub http: String,
    /// For `https://`.
    pub https: String,
    /// Names, domains and ranges that are reached without one, separated by commas.
    pub none: String,
}

impl Proxies {
    /// In reqwest's words.
    ///
    /// # Errors
    /// A proxy that is no URL.
    pub(crate) fn all(&self) -> Result<Vec<reqwest::Proxy>, reqwest::Error> {
        let none = || reqwest::NoProxy::from_string(&self.none);
        let mut all = Vec::new();
        if !self.http.is_empty() {
            all.push(reqwest::Proxy::http(&self.http)?.no_proxy(none()));
        }
        if !self.https.is_empty() {
            all.push(reqwest::Proxy::https(&self.https)?.no_proxy(none()));
        }
        Ok(all)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            mirrors: Vec::new(),
            rules: Vec::new(),
            insecure: Vec::new(),
            proxies: None,
            user_agent: concat!("onggi/", env!("CARGO_PKG_VERSION")).to_owned(),
            certificates: Vec::new(),
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(60),
            attempts: 5,
            backoff: Duration::from_millis(500),
        }
    }
}

/// A mirror or an insecure registry that cannot be meant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidConfig {
    /// A proxy that is no URL.
    #[error("invalid proxy: {0}")]
    Proxy(String),
    /// No `http://` or `https://` in front.
    #[error(
        "invalid mirror: no scheme specified for {0:?}: must use either 'https://' or 'http://'"
    )]
    MirrorScheme(String),
    /// Another scheme than http and https.
    #[error(
        "invalid mirror: unsupported scheme {0:?} in {1:?}: must use either 'https://' or 'http://'"
    )]
    MirrorUnsupported(String, String),
    /// Not a URL at all.
    #[error("invalid mirror: {0:?} is not a valid URI")]
    MirrorUri(String),
    /// A query or a fragment, which could not be kept in what we ask.
    #[error("invalid mirror: query or fragment at end of the URI {0:?}")]
    MirrorQuery(String),
    /// Credentials in the URL: they would end up in logs.
    #[error("invalid mirror: username/password not allowed in URI {0:?}")]
    MirrorUser(String),
    /// A file about registries.
    #[error("{0}: {1}")]
    File(String, String),
    /// A rule about registries that cannot be meant.
    #[error("registry {0:?}: {1}")]
    Rule(String, String),
    /// Something that is neither a host nor a network.
    #[error("insecure registry {0} is not valid: {1}")]
    Insecure(String, &'static str),
}

impl Fault for InvalidConfig {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// A configuration that makes sense.
impl InvalidConfig {
    pub(crate) fn proxy(error: reqwest::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            text = format!("{text}: {source}");
            cause = source.source();
        }
        Self::Proxy(text)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) mirrors: Vec<Url>,
    pub(crate) rules: Vec<CheckedRule>,
    pub(crate) insecure: Vec<Insecure>,
}

/// A rule that can be followed.
#[derive(Debug, Clone)]
pub(crate) struct CheckedRule {
    pub(crate) registry: String,
    pub(crate) mirrors: Vec<CheckedMirror>,
    pub(crate) fallback: bool,
}

/// A mirror that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct CheckedMirror {
    pub(crate) url: Url,
    /// What comes before the repository's name.
    pub(crate) prefix: String,
    pub(crate) auth_file: Option<AuthFile>,
}

impl Checked {
    /// What is said about a registry: the closest rule.
    pub(crate) fn rule(&self, registry: &str) -> Option<&CheckedRule> {
        let registry = registry.to_ascii_lowercase();
        let fitting = self
            .rules
            .iter()
            .filter_map(|rule| Some((fits(&rule.registry, &registry)?, rule)));
        fitting
            .max_by_key(|(close, _)| *close)
            .map(|(_, rule)| rule)
    }
}

/// One entry of the list of insecure registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Insecure {
    /// `host` (any port) or `host:port`.
    Host(String),
    /// Every registry of a domain, `*.domain`.
    Domain(String),
    /// Every registry whose address lies in this network.
    Network(IpAddr, u8),
}

impl Config {
    /// Says whether every mirror and every insecure registry can be meant; the daemon calls it before
    /// it takes a configuration.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`], in dockerd's words.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        self.checked().map(drop)
    }

    pub(crate) fn checked(&self) -> Result<Checked, InvalidConfig> {
        if let Some(proxies) = &self.proxies {
            proxies.all().map_err(InvalidConfig::proxy)?;
        }
        let mut listed: Vec<Insecure> = self
            .insecure
            .iter()
            .map(|i| insecure(i))
            .collect::<Result<_, _>>()?;
        let rules = self
            .rules
            .iter()
            .map(|rule| checked_rule(rule, &mut listed))
            .collect::<Result<_, _>>()?;
        Ok(Checked {
            rules,
            insecure: listed,
            mirrors: self
                .mirrors
                .iter()
                .map(|m| mirror(m))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Checks a rule; what it allows without TLS goes to `listed`.
fn checked_rule(rule: &Rule, listed: &mut Vec<Insecure>) -> Result<CheckedRule, InvalidConfig> {
    let bad = |why: String| InvalidConfig::Rule(rule.registry.clone(), why);
    let domain = rule.registry.strip_prefix("*.");
    match (domain, rule.registry.as_str()) {
        (None, "*") if rule.insecure => {
            return Err(bad("name the registries that may do without TLS".to_owned()));
        }
        (None, "*") => {}
        (Some(domain), _) | (None, domain) => match insecure(domain) {
            Ok(Insecure::Host(_)) if !domain.contains('/') => {}
            _ => return Err(bad("not a host, host:port, *.domain or *".to_owned())),
        },
    }
    if rule.insecure {
        listed.push(match domain {
            Some(domain) => Insecure::Domain(format!(".{domain}")),
            None => insecure(&rule.registry)?,
        });
    }
    let mut mirrors = Vec::new();
    for one in &rule.mirrors {
        let url = mirror(&one.url).map_err(|error| bad(error.to_string()))?;
        let prefix = one.prefix.trim_matches('/');
        let sample = prefix.replace("{registry}", "registry");
        if !prefix.is_empty() && onggi_model::ImageRef::parse(&format!("x.y/{sample}/z")).is_err() {
            return Err(bad(format!(
                "{prefix:?} cannot begin the name of a repository"
            )));
        }
        if one.insecure {
            listed.push(Insecure::Host(crate::endpoint::authority(&url)));
        }
        let auth_file = one.auth_file.as_deref().map(AuthFile::new);
        if let Some(file) = &auth_file {
            let authority = crate::endpoint::authority(&url);
            if url.scheme() == "http" && !one.insecure && !is_loopback(host_of(&authority)) {
                return Err(bad(format!(
                    "the password for {authority} would go over the network in the clear: write https://, or \
                     \"insecure\": true if that is meant"
                )));
            }
            file.credentials(&authority).map_err(bad)?;
        }
        mirrors.push(CheckedMirror {
            url,
            prefix: prefix.to_owned(),
            auth_file,
        });
    }
    if !rule.fallback && mirrors.is_empty() {
        return Err(bad("without mirrors it needs its fallback".to_owned()));
    }
    Ok(CheckedRule {
        registry: rule.registry.clone(),
        mirrors,
        fallback: rule.fallback,
    })
}

fn mirror(text: &str) -> Result<Url, InvalidConfig> {
    match text.split_once("://") {
        Some((scheme, host)) if !scheme.is_empty() && !host.is_empty() => {}
        _ => return Err(InvalidConfig::MirrorScheme(text.to_owned())),
    }
    let mut url = Url::parse(text).map_err(|_| InvalidConfig::MirrorUri(text.to_owned()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidConfig::MirrorUnsupported(
            url.scheme().to_owned(),
            text.to_owned(),
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // The text with the password must not come back in an error.
        let _ = url.set_password(Some("xxxxx"));
        return Err(InvalidConfig::MirrorUser(url.to_string()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidConfig::MirrorQuery(text.to_owned()));
    }
    if !url.has_host() {
        return Err(InvalidConfig::MirrorUri(text.to_owned()));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn insecure(text: &str) -> Result<Insecure, InvalidConfig> {
    let bad = |why| InvalidConfig::Insecure(text.to_owned(), why);
    // dockerd tolerates a scheme here and so do people's files.
    let plain = text
        .strip_prefix("http://")
        .or(text.strip_prefix("https://"))
        .unwrap_or(text);
    if let Some((address, bits)) = plain.split_once('/')
        && let Ok(address) = address.parse::<IpAddr>()
    {
        let most = if address.is_ipv4() { 32 } else { 128 };
        return match bits.parse::<u8>() {
            Ok(bits) if bits <= most => Ok(Insecure::Network(address, bits)),
            _ => Err(bad("invalid prefix length")),
        };
    }
    let host = plain.trim_end_matches('/');
    if host.is_empty() || host.starts_with('-') || host.ends_with('-') {
        return Err(bad("invalid host"));
    }
    match Url::parse(&format!("http://{host}/")) {
        Ok(url) if url.path() == "/" && url.query().is_none() && url.username().is_empty() => {
            Ok(Insecure::Host(host.to_ascii_lowercase()))
        }
        _ => Err(bad("invalid host")),
    }
}

impl Insecure {
    /// Whether the registry `authority` (`host` or `host:port`) with these addresses is covered.
    pub(crate) fn covers(&self, authority: &str, addresses: &[IpAddr]) -> bool {
        match self {
            Insecure::Host(host) => {
                let authority = authority.to_ascii_lowercase();
                authority == *host || host_of(&authority) == *host
            }
            Insecure::Domain(suffix) => host_of(authority).to_ascii_lowercase().ends_with(suffix),
            Insecure::Network(network, bits) => addresses
                .iter()
                .any(|address| within(*address, *network, *bits)),
        }
    }
}

/// The host of `host[:port]`, without the brackets of an IPv6 address.
pub(crate) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            host
        }
        _ => authority,
    }
}

/// Whether `host` can only mean this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    fn prefix(value: u128, width: u32, bits: u8) -> u128 {
        if bits == 0 {
            0
        } else {
            value >> (width - u32::from(bits))
        }
    }
    match (address.to_canonical(), network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            prefix(a.to_bits().into(), 32, bits) == prefix(n.to_bits().into(), 32, bits)
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            prefix(a.to_bits(), 128, bits) == prefix(n.to_bits(), 128, bits)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mirror(text: &str) -> Result<(), String> {
        Config {
            mirrors: vec![text.to_owned()],
            ..Config::default()
        }
        .check()
        .map_err(|e| e.to_string())
    }

    #[test]
    fn mirrors_are_urls_without_secrets() {
        assert_eq!(with_mirror("https://mirror.example"), Ok(()));
        assert_eq!(with_mirror("http://127.0.0.1:5000/docker/"), Ok(()));
        assert_eq!(
            with_mirror("mirror.example:5000").unwrap_err(),
            "invalid mirror: no scheme specified for \"mirror.example:5000\": must use either 'https://' or 'http://'"
        );
        assert!(
            with_mirror("ftp://mirror.example")
                .unwrap_err()
                .contains("unsupported scheme")
        );
        let refused = with_mirror("https://me:hunter2@mirror.example").unwrap_err();
        assert!(
            refused.contains("not allowed") && !refused.contains("hunter2"),
            "{refused}"
        );
        assert!(
            with_mirror("https://mirror.example/?a=b")
                .unwrap_err()
                .contains("query")
        );
        assert!(with_mirror("https://").is_err());
    }

    #[test]
    fn rules_are_checked() {
        let rule = |registry: &str, url: &str, prefix: &str, insecure: bool, fallback: bool| {
            let mirrors = match url {
                "" => Vec::new(),
                url => vec![crate::Mirror {
                    url: url.to_owned(),
                    prefix: prefix.to_owned(),
                    insecure: false,
                    auth_file: None,
                }],
            };
            let config = Config {
                rules: vec![Rule {
                    registry: registry.to_owned(),
                    mirrors,
                    insecure,
                    fallback,
                }],
                ..Config::default()
            };
            config.check().map_err(|error| error.to_string())
        };
        assert_eq!(
            rule("a.example:5000", "http://m.example", "", true, true),
            Ok(())
        );
        assert_eq!(
            rule("*.example", "http://m.example", "{registry}", true, false),
            Ok(())
        );
        assert_eq!(rule("*", "http://m.example", "a/b", false, true), Ok(()));
        for (registry, url, prefix, insecure, fallback, part) in [
            ("*", "", "", true, true, "name the registries"),
            ("a/b", "", "", false, true, "not a host"),
            ("10.0.0.0/8", "", "", false, true, "not a host"),
            ("a*b", "http://m", "A B", false, true, "cannot begin"),
            ("a.example", "m.example", "", false, true, "no scheme"),
            ("a.example", "", "", false, false, "fallback"),
        ] {
            let error = rule(registry, url, prefix, insecure, fallback).unwrap_err();
            assert!(error.contains(part), "{registry}: {error}");
        }
    }

    #[test]
    fn insecure_registries_are_hosts_or_networks() {
        let covers = |entry: &str, authority: &str, addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            insecure(entry).unwrap().covers(authority, &addresses)
        };
        assert!(covers("reg.example", "reg.example:5000", &[]));
        assert!(covers("reg.example:5000", "reg.example:5000", &[]));
        assert!(!covers("reg.example:5000", "reg.example:5001", &[]));
        assert!(covers("REG.example", "reg.Example", &[]));
        assert!(covers("10.0.0.0/8", "reg.example", &["10.1.2.3"]));
        assert!(!covers("10.0.0.0/8", "reg.example", &["11.1.2.3"]));
        assert!(covers("fd00::/8", "reg.example", &["fd12::1"]));
        assert!(covers("0.0.0.0/0", "reg.example", &["1.1.1.1"]));
        for bad in ["", "10.0.0.0/33", "-x", "a b", "reg.example/path"] {
            assert!(insecure(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_without_ports() {
        assert_eq!(host_of("a.example:5000"), "a.example");
        assert_eq!(host_of("[::1]:5000"), "::1");
        assert_eq!(host_of("::1"), "::1");
        assert!(is_loopback("127.3.2.1") && is_loopback("::1") && is_loopback("LOCALHOST"));
        assert!(!is_loopback("128.0.0.1") && !is_loopback("localhost.example"));
    }
}
