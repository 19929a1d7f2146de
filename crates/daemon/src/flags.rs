//! The command line of `onggid`: dockerd's flags by dockerd's names.
//!
//! Only what was typed; what it means together with the configuration file is decided in `config`.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// The flags of `onggid`. A flag that was not given is `None` or empty, so that the file can supply it.
#[derive(Debug, Default, Parser)]
#[command(
    name = "onggid",
    version,
    about = "A self-sufficient engine for containers"
)]
pub(crate) struct Flags {
    /// Daemon socket(s) to listen on: unix://PATH, fd://, tcp://HOST:PORT
    #[arg(short = 'H', long = "host", value_name = "list")]
    pub hosts: Vec<String>,
    /// Root directory of persistent state
    #[arg(long, value_name = "string")]
    pub data_root: Option<PathBuf>,
    /// Root directory for execution state files
    #[arg(long, value_name = "string")]
    pub exec_root: Option<PathBuf>,
    /// Path to use for daemon PID file
    #[arg(short = 'p', long, value_name = "string")]
    pub pidfile: Option<PathBuf>,
    /// Daemon configuration file
    #[arg(long, value_name = "string")]
    pub config_file: Option<PathBuf>,
    /// Preferred registry mirror for docker.io
    #[arg(long = "registry-mirror", value_name = "list")]
    pub registry_mirrors: Vec<String>,
    /// Enable insecure registry communication
    #[arg(long = "insecure-registry", value_name = "list")]
    pub insecure_registries: Vec<String>,
    /// Group for the unix socket
    #[arg(short = 'G', long, value_name = "string")]
    pub group: Option<String>,
    /// Attach containers to a network bridge of this name ("none" for no bridge)
    #[arg(short = 'b', long, value_name = "string")]
    pub bridge: Option<String>,
    /// Address and prefix of the default bridge
    #[arg(long, value_name = "ipv4-prefix")]
    pub bip: Option<String>,
    /// MTU of the default bridge network
    #[arg(long, value_name = "int")]
    pub mtu: Option<u32>,
    /// Enable inter-container communication on the default bridge
    #[arg(long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub icc: Option<bool>,
    /// DNS server to use in containers
    #[arg(long, value_name = "list")]
    pub dns: Vec<String>,
    /// DNS options to use in containers
    #[arg(long = "dns-opt", value_name = "list")]
    pub dns_opts: Vec<String>,
    /// DNS search domains to use in containers
    #[arg(long, value_name = "list")]
    pub dns_search: Vec<String>,
    /// Set key=value labels to the daemon
    #[arg(long = "label", value_name = "list")]
    pub labels: Vec<String>,
    /// Set the logging level: debug, info, warn, error, fatal
    #[arg(short = 'l', long, value_name = "string")]
    pub log_level: Option<String>,
    /// Enable debug mode
    #[arg(short = 'D', long, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub debug: Option<bool>,
    /// Keep containers running when the daemon stops (the default)
    #[arg(long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub live_restore: Option<bool>,
    /// Seconds to wait for containers to stop where live-restore is off
    #[arg(long, value_name = "int")]
    pub shutdown_timeout: Option<u64>,
    /// Use TLS on tcp sockets and verify the remote
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub tlsverify: Option<bool>,
    /// Trust certs signed only by this CA
    #[arg(long, value_name = "string")]
    pub tlscacert: Option<PathBuf>,
    /// Path to TLS certificate file
    #[arg(long, value_name = "string")]
    pub tlscert: Option<PathBuf>,
    /// Path to TLS key file
    #[arg(long, value_name = "string")]
    pub tlskey: Option<PathBuf>,
    /// Allow tcp sockets without TLS: whoever reaches the port is root on this machine
    #[arg(long)]
    pub insecure_tcp: bool,
    /// Do not listen on /run/docker.sock
    #[arg(long)]
    pub no_docker_socket: bool,
    /// Validate daemon configuration and exit
    #[arg(long)]
    pub validate: bool,
}
