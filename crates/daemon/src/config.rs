//! What the daemon runs with: flags and `daemon.json` merged into values that cannot be wrong.
//!
//! Precedence as dockerd's: a key that stands in both places is an error, not a silent winner. Unknown keys are
//! refused by name. Nothing here touches the system but reading the file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use onggi_model::{ErrorKind, Fault};
use serde::Deserialize;

use crate::flags::Flags;

/// Where the daemon keeps state when nobody says otherwise.
pub(crate) const DATA_ROOT: &str = "/var/lib/onggi";
/// Where run-time state lives when nobody says otherwise.
pub(crate) const EXEC_ROOT: &str = "/run/onggi";
/// The configuration file that is read when it exists and no other is named.
pub(crate) const CONFIG_FILE: &str = "/etc/onggi/daemon.json";

/// Why the configuration does not hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("unable to configure the daemon with file {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no JSON, or a key has the wrong type.
    #[error("unable to configure the daemon with file {}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Keys that mean nothing to us.
    #[error("unable to configure the daemon with file {}: the following directives don't match any configuration option: {keys}", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The keys, joined with `, `.
        keys: String,
    },
    /// Keys given twice.
    #[error(
        "the following directives are specified both as a flag and in the configuration file: {keys}"
    )]
    Both {
        /// The keys, joined with `, `.
        keys: String,
    },
    /// A value that cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A unix socket at a path.
    Unix(PathBuf),
    /// The sockets that systemd hands over.
    Fd,
    /// A TCP address, `host:port`.
    Tcp(String),
}

/// Certificates of mutual TLS on tcp sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The CA that client certificates must be signed by.
    pub ca: PathBuf,
    /// The server's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The settled configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Addresses to listen on; never empty.
    pub hosts: Vec<Host>,
    /// Root of persistent state.
    pub data_root: PathBuf,
    /// Root of run-time state.
    pub exec_root: PathBuf,
    /// Where the pid is written.
    pub pidfile: PathBuf,
    /// Mirrors of docker.io, in the order they are asked.
    pub registry_mirrors: Vec<String>,
    /// Registries that may be spoken to without TLS, besides loopback.
    pub insecure_registries: Vec<String>,
    /// Group of the unix sockets.
    pub group: Option<String>,
    /// Name of the default bridge; `none` for no bridge.
    pub bridge: String,
    /// Its address and prefix.
    pub bip: Option<String>,
    /// Its MTU.
    pub mtu: u32,
    /// Whether its containers reach each other.
    pub icc: bool,
    /// Resolvers for containers, instead of the host's.
    pub dns: Vec<String>,
    /// Resolver options for containers.
    pub dns_opts: Vec<String>,
    /// Search domains for containers.
    pub dns_search: Vec<String>,
    /// Labels of the daemon.
    pub labels: Vec<String>,
    /// Level of the daemon's log, in tracing's words.
    pub log_level: String,
    /// Debug mode, as `info` tells it.
    pub debug: bool,
    /// Whether containers outlive the daemon's stop.
    pub live_restore: bool,
    /// Seconds that containers get at a stop without live-restore.
    pub shutdown_timeout: u64,
    /// TLS of tcp sockets; `None` only where there are none, or by `--insecure-tcp`.
    pub tls: Option<Tls>,
    /// Whether `/run/docker.sock` is served when nobody else does.
    pub docker_socket: bool,
}

/// `daemon.json`: the same names as dockerd's.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    hosts: Option<Vec<String>>,
    data_root: Option<PathBuf>,
    exec_root: Option<PathBuf>,
    pidfile: Option<PathBuf>,
    registry_mirrors: Option<Vec<String>>,
    insecure_registries: Option<Vec<String>>,
    group: Option<String>,
    bridge: Option<String>,
    bip: Option<String>,
    mtu: Option<u32>,
    icc: Option<bool>,
    dns: Option<Vec<String>>,
    dns_opts: Option<Vec<String>>,
    dns_search: Option<Vec<String>>,
    labels: Option<Vec<String>>,
    log_level: Option<String>,
    debug: Option<bool>,
    live_restore: Option<bool>,
    shutdown_timeout: Option<u64>,
    tlsverify: Option<bool>,
    tlscacert: Option<PathBuf>,
    tlscert: Option<PathBuf>,
    tlskey: Option<PathBuf>,
    insecure_tcp: Option<bool>,
    no_docker_socket: Option<bool>,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

impl File {
    fn load(path: &Path, required: bool) -> Result<Self, Error> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
                return Ok(Self::default());
            }
            Err(source) => {
                return Err(Error::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let file: Self = serde_json::from_str(&text).map_err(|source| Error::Parse {
            path: path.to_owned(),
            source,
        })?;
        if file.unknown.is_empty() {
            return Ok(file);
        }
        let keys = file.unknown.into_keys().collect::<Vec<_>>().join(", ");
        Err(Error::Unknown {
            path: path.to_owned(),
            keys,
        })
    }
}

/// Picks each key from the one place that names it and remembers those named twice.
#[derive(Default)]
struct Merge {
    both: Vec<&'static str>,
}

impl Merge {
    fn one<T>(&mut self, key: &'static str, flag: Option<T>, file: Option<T>) -> Option<T> {
        if flag.is_some() && file.is_some() {
            self.both.push(key);
        }
        flag.or(file)
    }

    fn list(
        &mut self,
        key: &'static str,
        flag: Vec<String>,
        file: Option<Vec<String>>,
    ) -> Vec<String> {
        self.one(key, Some(flag).filter(|f| !f.is_empty()), file)
            .unwrap_or_default()
    }
}

impl Config {
    /// Settles flags and file. The default file may be absent; one named by a flag may not.
    ///
    /// # Errors
    /// `InvalidParameter`: the file cannot be read or parsed, names unknown keys or keys given as flags too, or a
    /// value cannot be.
    pub(crate) fn load(flags: Flags) -> Result<Self, Error> {
        let file = match &flags.config_file {
            Some(path) => File::load(path, true)?,
            None => File::load(Path::new(CONFIG_FILE), false)?,
        };
        Self::settle(flags, file)
    }

    fn settle(flags: Flags, file: File) -> Result<Self, Error> {
        let mut m = Merge::default();
        let exec_root = m
            .one("exec-root", flags.exec_root, file.exec_root)
            .unwrap_or_else(|| EXEC_ROOT.into());
        let hosts = m.list("hosts", flags.hosts, file.hosts);
        let debug = m.one("debug", flags.debug, file.debug).unwrap_or(false);
        let level = m.one("log-level", flags.log_level, file.log_level);
        let verify = m
            .one("tlsverify", flags.tlsverify, file.tlsverify)
            .unwrap_or(false);
        let ca = m.one("tlscacert", flags.tlscacert, file.tlscacert);
        let cert = m.one("tlscert", flags.tlscert, file.tlscert);
        let key = m.one("tlskey", flags.tlskey, file.tlskey);
        let insecure_tcp = flags.insecure_tcp || file.insecure_tcp.unwrap_or(false);
        let config = Self {
            hosts: hosts_of(&hosts, &exec_root)?,
            data_root: m
                .one("data-root", flags.data_root, file.data_root)
                .unwrap_or_else(|| DATA_ROOT.into()),
            pidfile: m
                .one("pidfile", flags.pidfile, file.pidfile)
                .unwrap_or_else(|| exec_root.join("onggid.pid")),
            exec_root,
            registry_mirrors: m.list(
                "registry-mirrors",
                flags.registry_mirrors,
                file.registry_mirrors,
            ),
            insecure_registries: m.list(
                "insecure-registries",
                flags.insecure_registries,
                file.insecure_registries,
            ),
            group: m.one("group", flags.group, file.group),
            bridge: m
                .one("bridge", flags.bridge, file.bridge)
                .unwrap_or_else(|| "onggi0".into()),
            bip: m.one("bip", flags.bip, file.bip),
            mtu: m.one("mtu", flags.mtu, file.mtu).unwrap_or(1500),
            icc: m.one("icc", flags.icc, file.icc).unwrap_or(true),
            dns: m.list("dns", flags.dns, file.dns),
            dns_opts: m.list("dns-opts", flags.dns_opts, file.dns_opts),
            dns_search: m.list("dns-search", flags.dns_search, file.dns_search),
            labels: m.list("labels", flags.labels, file.labels),
            log_level: log_level(level.as_deref(), debug)?,
            debug,
            live_restore: m
                .one("live-restore", flags.live_restore, file.live_restore)
                .unwrap_or(true),
            shutdown_timeout: m
                .one(
                    "shutdown-timeout",
                    flags.shutdown_timeout,
                    file.shutdown_timeout,
                )
                .unwrap_or(15),
            tls: tls(verify, ca, cert, key)?,
            docker_socket: !(flags.no_docker_socket || file.no_docker_socket.unwrap_or(false)),
        };
        if !m.both.is_empty() {
            return Err(Error::Both {
                keys: m.both.join(", "),
            });
        }
        config.check(insecure_tcp)?;
        Ok(config)
    }

    /// What holds between values.
    fn check(&self, insecure_tcp: bool) -> Result<(), Error> {
        let tcp = self.hosts.iter().find_map(|h| match h {
            Host::Tcp(address) => Some(address),
            Host::Unix(_) | Host::Fd => None,
        });
        if let Some(address) = tcp
            && self.tls.is_none()
            && !insecure_tcp
        {
            return Err(Error::Invalid(format!(
                "tcp://{address} needs --tlsverify with --tlscacert, --tlscert and --tlskey: \
                 whoever reaches the port is root on this machine (--insecure-tcp allows it all the same)"
            )));
        }
        for mirror in &self.registry_mirrors {
            if !mirror.starts_with("http://") && !mirror.starts_with("https://") {
                return Err(Error::Invalid(format!(
                    "invalid mirror: \"{mirror}\" is not a valid URI: it must start with http:// or https://"
                )));
            }
        }
        for server in &self.dns {
            if server.parse::<IpAddr>().is_err() {
                return Err(Error::Invalid(format!("{server} is not an ip address")));
            }
        }
        for label in &self.labels {
            if !label.contains('=') {
                return Err(Error::Invalid(format!("bad attribute format: {label}")));
            }
        }
        if !(68..=65_535).contains(&self.mtu) {
            return Err(Error::Invalid(format!("invalid default MTU: {}", self.mtu)));
        }
        for (name, path) in [
            ("data-root", &self.data_root),
            ("exec-root", &self.exec_root),
        ] {
            if !path.is_absolute() {
                return Err(Error::Invalid(format!(
                    "{name} must be an absolute path: {}",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

fn hosts_of(hosts: &[String], exec_root: &Path) -> Result<Vec<Host>, Error> {
    if hosts.is_empty() {
        return Ok(vec![Host::Unix(exec_root.join("onggi.sock"))]);
    }
    hosts.iter().map(|host| parse_host(host)).collect()
}

fn parse_host(host: &str) -> Result<Host, Error> {
    if let Some(path) = host.strip_prefix("unix://") {
        if !path.starts_with('/') {
            return Err(Error::Invalid(format!(
                "invalid host {host}: the path must be absolute"
            )));
        }
        return Ok(Host::Unix(path.into()));
    }
    if host == "fd://" || host == "fd://*" {
        return Ok(Host::Fd);
    }
    if let Some(address) = host.strip_prefix("tcp://") {
        let address = if address.is_empty() {
            "localhost:2375"
        } else {
            address
        };
        return match address.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => Ok(Host::Tcp(address.into())),
            _ => Err(Error::Invalid(format!(
                "invalid bind address format: {host}"
            ))),
        };
    }
    Err(Error::Invalid(format!(
        "invalid bind address format: {host}"
    )))
}

/// dockerd's level names in tracing's words.
fn log_level(level: Option<&str>, debug: bool) -> Result<String, Error> {
    let level = match level.unwrap_or("info") {
        level @ ("trace" | "debug" | "info" | "warn" | "error") => level,
        "fatal" | "panic" => "error",
        other => return Err(Error::Invalid(format!("invalid logging level: {other}"))),
    };
    Ok(if debug && level != "trace" {
        "debug"
    } else {
        level
    }
    .to_owned())
}

fn tls(
    verify: bool,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<Tls>, Error> {
    match (verify, ca, cert, key) {
        (false, None, None, None) => Ok(None),
        (true, Some(ca), Some(cert), Some(key)) => Ok(Some(Tls { ca, cert, key })),
        (true, ..) => Err(Error::Invalid(
            "--tlsverify needs --tlscacert, --tlscert and --tlskey".to_owned(),
        )),
        (false, ..) => Err(Error::Invalid(
            "--tlscacert, --tlscert and --tlskey need --tlsverify: a tcp socket that does not \
             verify its clients is open to everybody"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn settle(args: &[&str], json: &str) -> Result<Config, String> {
        let flags =
            Flags::try_parse_from([&["onggid"], args].concat()).map_err(|e| e.to_string())?;
        let dir = std::env::temp_dir().join(format!("onggi-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        let hash = json.len() * 1000 + args.concat().len();
        let path = dir.join(format!("{hash}.json"));
        std::fs::write(&path, json).map_err(|e| e.to_string())?;
        let file = File::load(&path, true).map_err(|e| onggi_model::chain(&e));
        std::fs::remove_file(&path).map_err(|e| e.to_string())?;
        Config::settle(flags, file?).map_err(|e| onggi_model::chain(&e))
    }

    #[test]
    fn defaults_are_ours() {
        let config = settle(&[], "{}").expect("defaults hold");
        assert_eq!(config.hosts, [Host::Unix("/run/onggi/onggi.sock".into())]);
        assert_eq!(config.data_root, Path::new("/var/lib/onggi"));
        assert_eq!(config.pidfile, Path::new("/run/onggi/onggid.pid"));
        assert!(config.live_restore && config.docker_socket && config.icc);
    }

    #[test]
    fn file_and_flags_join() {
        let config = settle(
            &["-H", "unix:///a.sock", "-H", "fd://", "-D"],
            r#"{"data-root": "/d", "registry-mirrors": ["http://127.0.0.1:5000"], "labels": ["a=b"]}"#,
        )
        .expect("holds");
        assert_eq!(config.hosts, [Host::Unix("/a.sock".into()), Host::Fd]);
        assert_eq!(config.log_level, "debug");
        assert_eq!(config.registry_mirrors, ["http://127.0.0.1:5000"]);
    }

    #[test]
    fn bad_configurations_are_refused_with_the_reason() {
        for (args, json, text) in [
            (
                &[][..],
                r#"{"foo": 1, "bar": 2}"#,
                "don't match any configuration option: bar, foo",
            ),
            (
                &["-D"],
                r#"{"debug": true}"#,
                "both as a flag and in the configuration file: debug",
            ),
            (&["-H", "tcp://0.0.0.0:2375"], "{}", "needs --tlsverify"),
            (
                &["-H", "tcp://0.0.0.0"],
                "{}",
                "invalid bind address format",
            ),
            (&["-H", "npipe://x"], "{}", "invalid bind address format"),
            (&["--dns", "nobody"], "{}", "nobody is not an ip address"),
            (
                &["--log-level", "loud"],
                "{}",
                "invalid logging level: loud",
            ),
            (&["--registry-mirror", "mirror"], "{}", "is not a valid URI"),
            (&["--label", "x"], "{}", "bad attribute format: x"),
            (&["--tlscert", "/c"], "{}", "need --tlsverify"),
            (&["--data-root", "here"], "{}", "must be an absolute path"),
            (&[], "{", "unable to configure the daemon with file"),
            (&[], r#"{"hosts": 1}"#, "invalid type"),
            (&["--frobnicate"], "{}", "unexpected argument"),
        ] {
            let error = settle(args, json).expect_err(text);
            assert!(error.contains(text), "{error:?} lacks {text:?}");
        }
    }

    #[test]
    fn tcp_needs_tls_or_an_explicit_word() {
        let config =
            settle(&["-H", "tcp://127.0.0.1:2375", "--insecure-tcp"], "{}").expect("holds");
        assert_eq!(config.hosts, [Host::Tcp("127.0.0.1:2375".into())]);
        let tls = [
            "--tlsverify",
            "--tlscacert=/a",
            "--tlscert=/b",
            "--tlskey=/c",
        ];
        assert!(settle(&[&["-H", "tcp://:2376"], &tls[..]].concat(), "{}").is_ok());
    }
}
