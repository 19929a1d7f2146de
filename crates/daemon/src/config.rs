//! What the daemon runs with: flags and `daemon.json` merged into values that cannot be wrong.
//!
//! Precedence as dockerd's: a key that stands in both places is an error, not a silent winner. Unknown keys are
//! refused by name. How the values are read is in `merge`, what they mean in `settle`.

use std::path::{Path, PathBuf};

use onggi_model::{ErrorKind, Fault};
use onggi_snapshot::Driver;

use crate::flags::Flags;
use crate::{merge, settle};

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
    #[error("unable to configure the daemon with file {}: the following directives are specified both as a flag and in the configuration file: {keys}", .path.display())]
    Both {
        /// The file.
        path: PathBuf,
        /// The keys with both values, joined with `, `.
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
    /// The CA that client certificates must be signed by; `None`: anybody may connect.
    pub ca: Option<PathBuf>,
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
    /// Where the pid is written.
    pub pidfile: PathBuf,
    /// Group of the unix sockets.
    pub group: Option<String>,
    /// TLS of tcp sockets; `None` only where there are none, or by `--insecure-tcp`.
    pub tls: Option<Tls>,
    /// Whether `/run/docker.sock` is served when nobody else does.
    pub docker_socket: bool,
    /// How the daemon's own log looks.
    pub log: Log,
    /// Where `/metrics` is served.
    pub metrics: Option<String>,
    /// Seconds that containers get at a stop without live-restore.
    pub shutdown_timeout: u64,
    /// Layers fetched at the same time.
    pub concurrent_downloads: usize,
    /// Layers uploaded at a time.
    pub concurrent_uploads: usize,
    /// The program that is pid 1 where an init is wanted; ours if absent.
    pub init_path: Option<PathBuf>,
    /// How root file systems are made.
    pub storage: Driver,
    /// How registries are spoken to.
    pub registry: onggi_registry::Config,
    /// What the network is to be.
    pub network: onggi_network::Config,
    /// What the engine is told for its life.
    pub engine: onggi_engine::Config,
    /// What it is told until the next reload.
    pub live: onggi_engine::Live,
    /// What is taken without effect.
    pub warnings: Vec<String>,
}

/// The daemon's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// In tracing's words.
    pub level: String,
    /// One JSON object a line.
    pub json: bool,
    /// Colours on a terminal.
    pub colours: bool,
}

impl Config {
    /// Settles flags and file. The default file may be absent; one named by a flag may not.
    ///
    /// # Errors
    /// `InvalidParameter`: the file cannot be read or parsed, names unknown keys or keys given as flags too, or a
    /// value cannot be.
    pub(crate) fn load(flags: &Flags) -> Result<Self, Error> {
        let (path, required) = match &flags.config_file {
            Some(path) => (path.as_path(), true),
            None => (Path::new(CONFIG_FILE), false),
        };
        let file = merge::read(path, required)?;
        let merged = merge::merge(&flags.values, file, path)?;
        settle::settle(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(args: &[&str], json: &str) -> Result<Config, String> {
        let matches = crate::flags::command().try_get_matches_from([&["onggid"], args].concat());
        let matches = matches.map_err(|e| e.to_string())?;
        let mut flags = Flags::read(&matches).map_err(|e| onggi_model::chain(&e))?;
        let hash = json.len() * 1000 + args.concat().len();
        let name = format!("onggi-config-{}-{hash}.json", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, json).map_err(|e| e.to_string())?;
        flags.config_file = Some(path.clone());
        let config = Config::load(&flags).map_err(|e| onggi_model::chain(&e));
        std::fs::remove_file(&path).map_err(|e| e.to_string())?;
        config
    }

    #[test]
    fn defaults_are_ours() {
        let config = settle(&[], "{}").expect("defaults hold");
        assert_eq!(config.hosts, [Host::Unix("/run/onggi/onggi.sock".into())]);
        assert_eq!(config.engine.data_root, Path::new("/var/lib/onggi"));
        assert_eq!(config.pidfile, Path::new("/run/onggi/onggid.pid"));
        assert!(config.live.live_restore && config.docker_socket && config.network.icc);
    }

    #[test]
    fn file_and_flags_join() {
        let config = settle(
            &["-H", "unix:///a.sock", "-H", "fd://", "-D"],
            r#"{"data-root": "/d", "registry-mirrors": ["http://127.0.0.1:5000"], "labels": ["a=b"]}"#,
        )
        .expect("holds");
        assert_eq!(config.hosts, [Host::Unix("/a.sock".into()), Host::Fd]);
        assert_eq!(config.log.level, "debug");
        assert_eq!(config.live.registry_mirrors, ["http://127.0.0.1:5000"]);
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
                "both as a flag and in the configuration file: debug: (from flag: true, from file: true)",
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
            (
                &["--registry-mirror", "mirror"],
                "{}",
                "no scheme specified",
            ),
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
