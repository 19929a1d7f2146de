//! From the merged document to values that cannot be wrong. Nothing here touches the system but reading the seccomp
//! profile and the files about registries.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use onggi_api::container::{LogConfig, Ulimit};
use onggi_engine::{Defaults, Live, Proxies, Runtime, SeccompProfile};
use onggi_model::Fault;
use onggi_model::units::{from_human_size, ram_in_bytes};
use onggi_network::{Pool, PublishPolicy};
use onggi_snapshot::Driver;
use serde::Deserialize;
use serde_json::Value;

use crate::config::{Config, DATA_ROOT, EXEC_ROOT, Error, Host, Log, Tls};
use crate::merge::Merged;

/// Where registries.d and certs.d are.
const REGISTRY_CONFIG: &str = "/etc/onggi";

/// Where Docker has certificates of registries.
const DOCKER_CERTIFICATES: &str = "/etc/docker/certs.d";

/// The keys that take effect.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Settings {
    bip: Option<String>,
    bip6: Option<String>,
    bridge: Option<String>,
    cdi_spec_dirs: Option<Vec<PathBuf>>,
    cgroup_parent: String,
    data_root: Option<PathBuf>,
    debug: bool,
    default_address_pools: Vec<PoolText>,
    default_cgroupns_mode: String,
    default_gateway: Option<String>,
    default_gateway_v6: Option<String>,
    default_ipc_mode: String,
    default_runtime: String,
    builder: BuilderText,
    default_shm_size: Option<Value>,
    default_ulimits: BTreeMap<String, Ulimit>,
    dns: Vec<String>,
    dns_opts: Vec<String>,
    dns_search: Vec<String>,
    exec_opts: Vec<String>,
    exec_root: Option<PathBuf>,
    features: BTreeMap<String, bool>,
    fixed_cidr: Option<String>,
    fixed_cidr_v6: Option<String>,
    group: Option<String>,
    host_gateway_ips: Vec<String>,
    hosts: Vec<String>,
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    icc: Option<bool>,
    init: bool,
    init_path: Option<PathBuf>,
    insecure_registries: Vec<String>,
    insecure_tcp: bool,
    ip: Option<String>,
    ip_forward: Option<bool>,
    ip_masq: Option<bool>,
    ip6tables: Option<bool>,
    ipv6: bool,
    publish_policy: Option<String>,
    iptables: Option<bool>,
    labels: Vec<String>,
    live_restore: Option<bool>,
    log_driver: String,
    log_format: String,
    log_level: Option<String>,
    log_opts: BTreeMap<String, String>,
    max_concurrent_downloads: Option<i64>,
    max_concurrent_uploads: Option<i64>,
    max_download_attempts: Option<i64>,
    metrics_addr: Option<String>,
    mtu: Option<i64>,
    no_docker_socket: bool,
    no_new_privileges: bool,
    pidfile: Option<PathBuf>,
    raw_logs: bool,
    registry_config_dir: Option<PathBuf>,
    registry_mirrors: Vec<String>,
    runtimes: BTreeMap<String, RuntimeText>,
    seccomp_profile: String,
    shutdown_timeout: Option<i64>,
    storage_driver: String,
    tls: Option<bool>,
    tlscacert: Option<PathBuf>,
    tlscert: Option<PathBuf>,
    tlskey: Option<PathBuf>,
    tlsverify: bool,
}

#[derive(Debug, Deserialize)]
struct PoolText {
    base: String,
    size: u8,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuntimeText {
    #[serde(default)]
    path: PathBuf,
    #[serde(default)]
    runtime_args: Vec<String>,
    #[serde(default)]
    runtime_type: String,
    #[serde(default)]
    options: serde_json::Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct BuilderText {
    gc: GcText,
    entitlements: BTreeMap<String, bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct GcText {
    enabled: Option<bool>,
    #[serde(alias = "defaultMaxUsedSpace", alias = "defaultReservedSpace")]
    default_keep_storage: Option<Value>,
    policy: Vec<Value>,
}

type Result<T, E = Error> = std::result::Result<T, E>;

fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(text.into()))
}

fn of(fault: &dyn Fault) -> Error {
    Error::Invalid(onggi_model::chain(fault))
}

/// Settles everything.
///
/// # Errors
/// `InvalidParameter`: a value that cannot be, by name.
pub(crate) fn settle(merged: Merged) -> Result<Config> {
    let Merged {
        values,
        mut warnings,
    } = merged;
    let s: Settings = serde_json::from_value(Value::Object(values))
        .map_err(|error| Error::Invalid(error.to_string()))?;
    let exec_root = absolute("exec-root", s.exec_root.clone(), EXEC_ROOT)?;
    let data_root = absolute("data-root", s.data_root.clone(), DATA_ROOT)?;
    let hosts = hosts(&s.hosts, &exec_root)?;
    let tls = tls(&s, &hosts)?;
    warnings.extend(exec_options(&s.exec_opts)?);
    let registry = registry(&s)?;
    let network = network(&s)?;
    for name in network.idle_without_ipv6() {
        warnings.push(format!("{name} has no effect: ipv6 is not switched on"));
    }
    let config = Config {
        pidfile: s
            .pidfile
            .clone()
            .unwrap_or_else(|| exec_root.join("onggid.pid")),
        group: s.group.clone(),
        docker_socket: !s.no_docker_socket,
        log: log(&s)?,
        metrics: metrics(s.metrics_addr.clone())?,
        shutdown_timeout: shutdown_timeout(s.shutdown_timeout)?,
        concurrent_downloads: count("max-concurrent-downloads", s.max_concurrent_downloads, 3)?,
        concurrent_uploads: count("max-concurrent-uploads", s.max_concurrent_uploads, 5)?,
        init_path: s.init_path.clone(),
        storage: storage(&s.storage_driver)?,
        network,
        live: live(&s)?,
        engine: engine(&s, data_root, exec_root)?,
        registry,
        hosts,
        tls,
        warnings,
    };
    config.engine.check().map_err(|fault| of(&fault))?;
    config.live.check().map_err(|fault| of(&fault))?;
    config.network.check().map_err(|fault| of(&fault))?;
    Ok(config)
}

fn engine(s: &Settings, data_root: PathBuf, exec_root: PathBuf) -> Result<onggi_engine::Config> {
    for server in &s.dns {
        if server.parse::<IpAddr>().is_err() {
            return invalid(format!("{server} is not an ip address"));
        }
    }
    one_of(
        "default-cgroupns-mode",
        &s.default_cgroupns_mode,
        &["", "host", "private"],
    )?;
    let log = LogConfig {
        kind: s.log_driver.clone(),
        config: Some(s.log_opts.clone()),
    };
    let ulimit = |(name, ulimit): (&String, &Ulimit)| Ulimit {
        name: name.clone(),
        ..ulimit.clone()
    };
    let ulimits: Vec<_> = s.default_ulimits.iter().map(ulimit).collect();
    for ulimit in &ulimits {
        if ulimit.hard >= 0 && ulimit.soft > ulimit.hard {
            return invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                ulimit.soft, ulimit.hard
            ));
        }
    }
    let defaults = Defaults {
        log,
        ulimits,
        cgroup_parent: s.cgroup_parent.clone(),
        cgroupns_mode: s.default_cgroupns_mode.clone(),
        init: s.init,
        no_new_privileges: s.no_new_privileges,
        seccomp: seccomp(&s.seccomp_profile)?,
    };
    let proxies = proxies(s);
    let pools = s.default_address_pools.iter();
    Ok(onggi_engine::Config {
        data_root,
        exec_root,
        dns: s.dns.clone(),
        dns_options: s.dns_opts.clone(),
        dns_search: s.dns_search.clone(),
        cdi_spec_dirs: s
            .cdi_spec_dirs
            .clone()
            .unwrap_or_else(|| vec!["/etc/cdi".into(), "/var/run/cdi".into()]),
        proxies: Proxies {
            http: proxies.http,
            https: proxies.https,
            none: proxies.none,
        },
        address_pools: pools.map(|pool| (pool.base.clone(), pool.size)).collect(),
        defaults,
    })
}

fn live(s: &Settings) -> Result<Live> {
    let mut values = BTreeMap::new();
    for label in &s.labels {
        let Some((name, value)) = label.split_once('=') else {
            return invalid(format!("bad attribute format: {label}"));
        };
        if let Some(before) = values.insert(name, value).filter(|before| *before != value) {
            return invalid(format!(
                "conflict labels for {name}={before} and {name}={value}"
            ));
        }
    }
    one_of(
        "default-ipc-mode",
        &s.default_ipc_mode,
        &["", "private", "shareable"],
    )?;
    let mut runtimes = BTreeMap::new();
    for (name, text) in &s.runtimes {
        if !text.runtime_type.is_empty() || !text.options.is_empty() {
            return invalid(format!(
                "runtimes: {name}: runtimeType and options are for shims of containerd, which is not used: name the \
                 program with \"path\""
            ));
        }
        if text.path.as_os_str().is_empty() {
            return invalid(format!("runtimes: {name}: \"path\" is missing"));
        }
        let runtime = Runtime {
            path: text.path.clone(),
            args: text.runtime_args.clone(),
        };
        runtimes.insert(name.clone(), runtime);
    }
    let shm_size = match &s.default_shm_size {
        None => 0,
        Some(Value::String(text)) => ram_in_bytes(text)
            .ok()
            .filter(|&size| size > 0)
            .ok_or_else(|| Error::Invalid(format!("default-shm-size: invalid size: '{text}'")))?,
        Some(number) => number.as_i64().unwrap_or_default(),
    };
    let build_cache = build_cache(&s.builder)?;
    Ok(Live {
        build_cache,
        labels: s.labels.clone(),
        registry_mirrors: s.registry_mirrors.clone(),
        insecure_registries: s.insecure_registries.clone(),
        live_restore: s.live_restore.unwrap_or(true),
        debug: s.debug,
        shm_size,
        ipc_mode: s.default_ipc_mode.clone(),
        runtimes,
        default_runtime: s.default_runtime.clone(),
        features: s.features.clone(),
    })
}

/// Bytes that the cache of builds may take: nothing where nobody said, 0 where it is not collected.
fn build_cache(builder: &BuilderText) -> Result<Option<u64>> {
    if let Some((name, _)) = builder.entitlements.iter().find(|(_, given)| **given) {
        return invalid(format!(
            "builder: entitlements: {name}: commands of builds get no privileges: leave it away"
        ));
    }
    let gc = &builder.gc;
    if !gc.policy.is_empty() {
        return invalid(
            "builder: gc: rules of \"policy\" are not there: use \"defaultKeepStorage\"",
        );
    }
    if gc.enabled == Some(false) {
        return Ok(Some(0));
    }
    let size = match &gc.default_keep_storage {
        None => return Ok(None),
        Some(Value::String(text)) => from_human_size(text).ok(),
        Some(number) => number.as_i64(),
    };
    let size = size
        .and_then(|size| u64::try_from(size).ok())
        .filter(|&size| size > 0);
    match size {
        None => invalid("builder: gc: defaultKeepStorage is no size, as \"20GB\" is one"),
        size => Ok(size),
    }
}

fn registry(s: &Settings) -> Result<onggi_registry::Config> {
    let attempts = count("max-download-attempts", s.max_download_attempts, 5)?;
    let folder = absolute(
        "registry-config-dir",
        s.registry_config_dir.clone(),
        REGISTRY_CONFIG,
    )?;
    let rules = onggi_registry::Rule::read(&folder.join("registries.d"));
    let config = onggi_registry::Config {
        rules: rules.map_err(|fault| of(&fault))?,
        certificates: vec![folder.join("certs.d"), DOCKER_CERTIFICATES.into()],
        mirrors: s.registry_mirrors.clone(),
        insecure: s.insecure_registries.clone(),
        proxies: Some(proxies(s)),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        ..onggi_registry::Config::default()
    };
    config.check().map_err(|fault| of(&fault))?;
    Ok(config)
}

/// Those of the file or flags, else those of the environment.
fn proxies(s: &Settings) -> onggi_registry::Proxies {
    let or = |value: &str, name: &str| match value {
        "" => std::env::var(name)
            .or_else(|_| std::env::var(name.to_lowercase()))
            .unwrap_or_default(),
        value => value.to_owned(),
    };
    onggi_registry::Proxies {
        http: or(&s.http_proxy, "HTTP_PROXY"),
        https: or(&s.https_proxy, "HTTPS_PROXY"),
        none: or(&s.no_proxy, "NO_PROXY"),
    }
}

/// An address or a subnet, if there is one.
fn parsed<T: std::str::FromStr>(name: &str, text: &Option<String>) -> Result<Option<T>> {
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => invalid(format!("invalid --{name}: {text}")),
        },
    }
}

/// What containers know as `host-gateway`.
fn host_gateways(texts: &[String]) -> Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in texts {
        let Ok(address) = text.parse::<IpAddr>() else {
            return invalid(format!("invalid host-gateway-ip: {text}"));
        };
        if addresses
            .iter()
            .any(|one| one.is_ipv4() == address.is_ipv4())
        {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            return invalid(format!(
                "host-gateway-ips: only one {family} address is allowed"
            ));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

fn network(s: &Settings) -> Result<onggi_network::Config> {
    let mut pools = Vec::new();
    for PoolText { base, size } in &s.default_address_pools {
        let Ok(base) = base.parse() else {
            return invalid(format!("default-address-pools: invalid base pool: {base}"));
        };
        pools.push(Pool::new(base, *size).map_err(|fault| of(&fault))?);
    }
    let mtu = s.mtu.filter(|&mtu| mtu != 0).unwrap_or(1500);
    let Some(mtu) = u32::try_from(mtu)
        .ok()
        .filter(|m| (68..=65_535).contains(m))
    else {
        return invalid(format!("invalid default MTU: {mtu}"));
    };
    let default_publish_address = match s.ip.as_deref() {
        None | Some("") => Ipv4Addr::UNSPECIFIED,
        Some(text) => match text.parse() {
            Ok(address) => address,
            Err(_) => return invalid(format!("invalid --ip: {text} is no IPv4 address")),
        },
    };
    let publish_policy = match s.publish_policy.as_deref().unwrap_or_default() {
        "" | "docker" => PublishPolicy::Docker,
        "host" => PublishPolicy::Host,
        other => {
            return invalid(format!(
                "publish-policy: invalid value \"{other}\", use docker or host"
            ));
        }
    };
    Ok(onggi_network::Config {
        bridge: s.bridge.clone().unwrap_or_else(|| "onggi0".to_owned()),
        bip: parsed("bip", &s.bip)?,
        ipv6: s.ipv6,
        bip6: parsed("bip6", &s.bip6)?,
        fixed_cidr: parsed("fixed-cidr", &s.fixed_cidr)?,
        fixed_cidr_v6: parsed("fixed-cidr-v6", &s.fixed_cidr_v6)?,
        default_gateway: parsed("default-gateway", &s.default_gateway)?,
        default_gateway_v6: parsed("default-gateway-v6", &s.default_gateway_v6)?,
        mtu,
        icc: s.icc.unwrap_or(true),
        ip_forward: s.ip_forward.unwrap_or(true),
        ip_masq: s.ip_masq.unwrap_or(true),
        iptables: s.iptables.unwrap_or(true),
        ip6tables: s.ip6tables.unwrap_or(true),
        default_publish_address,
        pools,
        host_gateways: host_gateways(&s.host_gateway_ips)?,
        publish_policy,
    })
}

fn one_of(name: &str, value: &str, allowed: &[&str]) -> Result<()> {
    if allowed.contains(&value) {
        return Ok(());
    }
    invalid(format!(
        "{name}: invalid value \"{value}\", use {}",
        allowed[1..].join(" or ")
    ))
}

fn count(name: &str, value: Option<i64>, default: usize) -> Result<usize> {
    let Some(value) = value else {
        return Ok(default);
    };
    match usize::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        Ok(_) => Ok(default),
        Err(_) => invalid(format!("invalid {}: {value}", name.replace('-', " "))),
    }
}

fn shutdown_timeout(value: Option<i64>) -> Result<u64> {
    match value {
        None => Ok(15),
        // Docker's: as long as it takes.
        Some(-1) => Ok(u64::from(u32::MAX)),
        Some(value) => match u64::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => invalid(format!("invalid shutdown-timeout: {value}")),
        },
    }
}

fn absolute(name: &str, path: Option<PathBuf>, default: &str) -> Result<PathBuf> {
    let path = path.unwrap_or_else(|| default.into());
    if path.is_absolute() {
        return Ok(path);
    }
    invalid(format!(
        "{name} must be an absolute path: {}",
        path.display()
    ))
}

fn storage(name: &str) -> Result<Driver> {
    if name.is_empty() {
        return Ok(Driver::default());
    }
    let names: Vec<_> = Driver::ALL.iter().map(|driver| driver.name()).collect();
    match Driver::by_name(name) {
        Some(driver) => Ok(driver),
        None => invalid(format!(
            "storage-driver: \"{name}\" is not supported: use {}",
            names.join(" or ")
        )),
    }
}

fn seccomp(profile: &str) -> Result<SeccompProfile> {
    match profile {
        "" | "builtin" => Ok(SeccompProfile::Builtin),
        "unconfined" => Ok(SeccompProfile::Unconfined),
        path => match std::fs::read_to_string(path) {
            Ok(text) => Ok(SeccompProfile::File(path.into(), text)),
            Err(error) => invalid(format!("opening seccomp profile ({path}) failed: {error}")),
        },
    }
}

/// `native.cgroupdriver` is the one there is.
fn exec_options(options: &[String]) -> Result<Option<String>> {
    let mut warning = None;
    for option in options {
        match option.split_once('=') {
            Some(("native.cgroupdriver", "cgroupfs")) => {}
            Some(("native.cgroupdriver", "systemd")) => {
                warning = Some(
                    "exec-opts: native.cgroupdriver=systemd has no effect: control groups of containers are made \
                     directly, below /onggi"
                        .to_owned(),
                );
            }
            Some(("native.cgroupdriver", other)) => {
                return invalid(format!(
                    "native.cgroupdriver option {other} is not supported: use cgroupfs"
                ));
            }
            _ => {
                return invalid(format!(
                    "exec-opts: unknown option \"{option}\": there is native.cgroupdriver=cgroupfs"
                ));
            }
        }
    }
    Ok(warning)
}

fn metrics(address: Option<String>) -> Result<Option<String>> {
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return Ok(None);
    };
    match address.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => Ok(Some(address)),
        _ => invalid(format!("metrics-addr must be host:port: {address}")),
    }
}

fn log(s: &Settings) -> Result<Log> {
    one_of("log-format", &s.log_format, &["", "text", "json"])?;
    let level = match s.log_level.as_deref().unwrap_or("info") {
        level @ ("trace" | "debug" | "info" | "warn" | "error") => level,
        "" => "info",
        "fatal" | "panic" => "error",
        other => return invalid(format!("invalid logging level: {other}")),
    };
    let level = match level {
        "trace" => level,
        _ if s.debug => "debug",
        _ => level,
    };
    Ok(Log {
        level: level.to_owned(),
        json: s.log_format == "json",
        colours: !s.raw_logs,
    })
}

fn hosts(hosts: &[String], exec_root: &Path) -> Result<Vec<Host>> {
    if hosts.is_empty() {
        return Ok(vec![Host::Unix(exec_root.join("onggi.sock"))]);
    }
    hosts.iter().map(|host| parse_host(host)).collect()
}

fn parse_host(host: &str) -> Result<Host> {
    if let Some(path) = host.strip_prefix("unix://") {
        if !path.starts_with('/') {
            return invalid(format!("invalid host {host}: the path must be absolute"));
        }
        return Ok(Host::Unix(path.into()));
    }
    if host == "fd://" || host == "fd://*" {
        return Ok(Host::Fd);
    }
    if let Some(address) = host.strip_prefix("tcp://") {
        let address = match address {
            "" => "localhost:2375",
            address => address,
        };
        return match address.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => Ok(Host::Tcp(address.into())),
            _ => invalid(format!("invalid bind address format: {host}")),
        };
    }
    invalid(format!("invalid bind address format: {host}"))
}

/// TLS of tcp sockets. One that does not verify its clients is open to everybody, and needs a word that says so.
fn tls(s: &Settings, hosts: &[Host]) -> Result<Option<Tls>> {
    let named = |name: &str, path: &Option<PathBuf>| match path {
        Some(path) => Ok(path.clone()),
        None => invalid(format!("TLS needs --{name}")),
    };
    let tls = if s.tlsverify {
        Some(Tls {
            ca: Some(named("tlscacert", &s.tlscacert)?),
            cert: named("tlscert", &s.tlscert)?,
            key: named("tlskey", &s.tlskey)?,
        })
    } else if s.tls.unwrap_or(false) {
        Some(Tls {
            ca: None,
            cert: named("tlscert", &s.tlscert)?,
            key: named("tlskey", &s.tlskey)?,
        })
    } else if s.tlscacert.is_some() || s.tlscert.is_some() || s.tlskey.is_some() {
        return invalid(
            "--tlscacert, --tlscert and --tlskey need --tlsverify: a tcp socket that does not verify its clients is \
             open to everybody",
        );
    } else {
        None
    };
    let tcp = hosts.iter().find_map(|host| match host {
        Host::Tcp(address) => Some(address),
        Host::Unix(_) | Host::Fd => None,
    });
    let verified = tls.as_ref().is_some_and(|tls| tls.ca.is_some());
    match tcp {
        Some(address) if !verified && !s.insecure_tcp => invalid(format!(
            "tcp://{address} needs --tlsverify with --tlscacert, --tlscert and --tlskey: whoever reaches the port is \
             root on this machine (--insecure-tcp allows it all the same)"
        )),
        _ => Ok(tls),
    }
}
