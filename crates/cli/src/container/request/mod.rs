//! From the flags of `run` and `create` to the API's create request: a pure function but for the files that flags name.

mod device; // --device, --gpus, --device-*-bps
mod env; // --env, --env-file, --label-file
mod mount; // --mount
mod network; // --network and what goes with it
mod resource; // --ulimit, limits
mod security; // --security-opt

use std::collections::BTreeMap;

use onggi_api::container::{
    Config, CreateRequest, HealthConfig, HostConfig, LogConfig, NetworkingConfig, PortBinding,
    PortMap, PortSet, RestartPolicy, RestartPolicyMode,
};
use onggi_api::go::Empty;
use onggi_client::Version;

use crate::args::Matches;
use crate::args::check::{parse_duration, parse_extra_host, parse_int, parse_uint};
use crate::error::{Error, Result};
use crate::settings::Environment;

pub(crate) use device::check_gpus;
pub(crate) use env::{environment_of, read_pairs};
pub(crate) use mount::check as check_mount;
pub(crate) use network::check as check_network;
pub(crate) use resource::{check_ulimit, ulimits};

/// What flags and arguments mean, apart from what the CLI itself does with them.
pub(crate) fn create_request(
    matches: &Matches,
    environment: &Environment,
    version: Version,
) -> Result<CreateRequest> {
    let (image, command) = matches
        .args
        .split_first()
        .ok_or_else(|| Error::new("an image is needed"))?;
    let attach: Vec<String> = matches.all("attach").map(str::to_lowercase).collect();
    let attached = |stream: &str| attach.iter().any(|name| name == stream);
    let interactive = matches.on("interactive");
    // Without -a: everything, with stdin only when it is kept open.
    let all = attach.is_empty();
    let attach_stdin = attached("stdin") || interactive;
    validate(matches)?;

    let (binds, volumes) = volumes(matches)?;
    let mut config = Config {
        hostname: matches.text("hostname").to_owned(),
        domainname: matches.text("domainname").to_owned(),
        user: matches.text("user").to_owned(),
        attach_stdin,
        attach_stdout: all || attached("stdout"),
        attach_stderr: all || attached("stderr"),
        tty: matches.on("tty"),
        open_stdin: interactive,
        env: Some(environment_of(matches, environment)?).filter(|env| !env.is_empty()),
        cmd: (!command.is_empty()).then(|| command.to_vec()),
        healthcheck: healthcheck(matches)?,
        image: image.clone(),
        volumes: Some(volumes),
        working_dir: matches.text("workdir").to_owned(),
        entrypoint: matches
            .one("entrypoint")
            .map(|program| vec![program.to_owned()]),
        labels: Some(read_pairs(matches, "label-file", "label")?),
        stop_signal: matches.text("stop-signal").to_owned(),
        stop_timeout: matches.int("stop-timeout"),
        ..Config::default()
    };
    // With -i and a standard input that is attached, the container's ends with the client's.
    config.stdin_once = config.open_stdin && config.attach_stdin;

    let (exposed, bindings) = ports(matches)?;
    config.exposed_ports = Some(exposed).filter(|ports| !ports.is_empty());

    let (add, drop) = security::capabilities(matches);
    // Since 1.44 the endpoint has the MAC address, before that the container.
    let mac = matches.text("mac-address").trim();
    if !mac.is_empty() && !is_mac(mac) {
        return Err(Error::new(format!("{mac} is not a valid mac address")));
    }
    let (own_mac, endpoint_mac) = if version < Version(1, 44) {
        (mac, "")
    } else {
        ("", mac)
    };
    config.mac_address = own_mac.to_owned();
    let networks = network::options(matches, endpoint_mac)?;
    let list = |name: &str| Some(matches.list(name)).filter(|list| !list.is_empty());
    let tmpfs: BTreeMap<String, String> = matches
        .all("tmpfs")
        .map(|spec| match spec.split_once(':') {
            Some((path, options)) => (path.to_owned(), options.to_owned()),
            None => (spec.to_owned(), String::new()),
        })
        .collect();
    let host = HostConfig {
        binds: Some(binds).filter(|binds| !binds.is_empty()),
        container_id_file: matches.text("cidfile").to_owned(),
        log_config: log_config(matches)?,
        network_mode: networks.mode.clone(),
        port_bindings: Some(bindings),
        restart_policy: restart_policy(matches.one("restart").unwrap_or("no"))?,
        auto_remove: matches.on("rm"),
        volume_driver: matches.text("volume-driver").to_owned(),
        volumes_from: list("volumes-from"),
        annotations: Some(pairs(matches, "annotation")).filter(|map| !map.is_empty()),
        cap_add: Some(add).filter(|list| !list.is_empty()),
        cap_drop: Some(drop).filter(|list| !list.is_empty()),
        cgroupns_mode: matches.text("cgroupns").to_owned(),
        dns: Some(matches.all("dns").map(|ip| ip.trim().to_owned()).collect()),
        dns_options: Some(
            matches
                .all("dns-option")
                .chain(matches.all("dns-opt"))
                .map(str::to_owned)
                .collect(),
        ),
        dns_search: Some(dns_search(matches)),
        extra_hosts: list("add-host")
            .map(|hosts| {
                hosts
                    .iter()
                    .map(|host| parse_extra_host(host))
                    .collect::<std::result::Result<_, _>>()
            })
            .transpose()
            .map_err(Error::new)?,
        group_add: list("group-add"),
        ipc_mode: matches.text("ipc").to_owned(),
        links: list("link"),
        on_unhealthy: matches
            .one("on-unhealthy")
            .filter(|what| *what != "no")
            .unwrap_or_default()
            .to_owned(),
        oom_score_adj: matches.int("oom-score-adj").unwrap_or(0),
        pid_mode: matches.text("pid").to_owned(),
        privileged: matches.on("privileged"),
        publish_all_ports: matches.on("publish-all"),
        readonly_rootfs: matches.on("read-only"),
        storage_opt: Some(storage_options(matches)?).filter(|map| !map.is_empty()),
        tmpfs: Some(tmpfs).filter(|map| !map.is_empty()),
        uts_mode: matches.text("uts").to_owned(),
        userns_mode: matches.text("userns").to_owned(),
        shm_size: bytes(matches, "shm-size")?,
        sysctls: Some(pairs(matches, "sysctl")).filter(|map| !map.is_empty()),
        runtime: matches.text("runtime").to_owned(),
        isolation: matches.text("isolation").to_owned(),
        resources: resource::resources(matches, version)?,
        mounts: mount::mounts(matches)?,
        init: matches.given("init").then(|| matches.on("init")),
        ..HostConfig::default()
    };
    let mut host = host;
    security::apply(matches, &mut host)?;

    Ok(CreateRequest {
        config,
        host_config: Some(host),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(networks.endpoints),
        }),
    })
}

/// Refuses what cannot be, in the order and the words of Docker.
fn validate(matches: &Matches) -> Result<()> {
    if let Some(swappiness) = matches.int("memory-swappiness")
        && swappiness != -1
        && !(0..=100).contains(&swappiness)
    {
        return Err(Error::new(format!(
            "invalid value: {swappiness}. Valid memory swappiness range is 0-100"
        )));
    }
    let container = |mode: &str| {
        mode.strip_prefix("container:")
            .is_some_and(|id| !id.is_empty())
    };
    let pid = matches.text("pid");
    if !matches!(pid, "" | "host") && !container(pid) {
        return Err(Error::new("--pid: invalid PID mode"));
    }
    if !matches!(matches.text("uts"), "" | "host") {
        return Err(Error::new("--uts: invalid UTS mode"));
    }
    if !matches!(matches.text("userns"), "" | "host") {
        return Err(Error::new("--userns: invalid USER mode"));
    }
    if !matches!(matches.text("cgroupns"), "" | "host" | "private") {
        return Err(Error::new("--cgroupns: invalid CGROUP mode"));
    }
    if matches.on("rm") && !matches!(matches.one("restart"), None | Some("no" | "")) {
        return Err(Error::new(
            "conflicting options: cannot specify both --restart and --rm",
        ));
    }
    Ok(())
}

/// `-v`: those with a source are binds, those without anonymous volumes.
fn volumes(matches: &Matches) -> Result<(Vec<String>, BTreeMap<String, Empty>)> {
    let mut binds = Vec::new();
    let mut anonymous = BTreeMap::new();
    for spec in matches.all("volume") {
        if spec.is_empty() {
            return Err(Error::new("invalid empty volume spec"));
        }
        if sections(spec)? == 1 {
            anonymous.insert(spec.to_owned(), Empty);
        } else {
            binds.push(expand(spec));
        }
    }
    Ok((binds, anonymous))
}

/// How many sections a value of `--volume` has, at most three. One letter before a colon is a drive of Windows.
fn sections(spec: &str) -> Result<usize> {
    let wrong = |reason: &str| Err(Error::new(format!("invalid spec: {spec}: {reason}")));
    if spec.len() <= 2 {
        return Ok(1);
    }
    let drive = spec.as_bytes()[0].is_ascii_alphabetic() && spec.as_bytes()[1] == b':';
    let rest = if drive { &spec[2..] } else { spec };
    let mut count = 0;
    for section in rest.split(':') {
        if count == 3 {
            return wrong("too many colons");
        }
        if section.is_empty() && !(drive && count == 0) {
            return wrong("empty section between colons");
        }
        count += 1;
    }
    Ok(count)
}

/// Whether a text is a hardware address, as Go reads them: pairs of digits with colons or dashes, fours with dots.
pub(super) fn is_mac(text: &str) -> bool {
    let groups = |separator: char, digits: usize, counts: [usize; 3]| {
        let groups: Vec<&str> = text.split(separator).collect();
        counts.contains(&groups.len())
            && groups
                .iter()
                .all(|group| group.len() == digits && group.chars().all(|c| c.is_ascii_hexdigit()))
    };
    groups(':', 2, [6, 8, 20]) || groups('-', 2, [6, 8, 20]) || groups('.', 4, [3, 4, 10])
}

/// A source that begins with a dot means a path seen from here.
fn expand(spec: &str) -> String {
    if !(spec.starts_with('.') || spec.starts_with('~')) {
        return spec.to_owned();
    }
    let (source, rest) = spec.split_once(':').unwrap_or((spec, ""));
    let relative =
        source == "." || source == ".." || source.starts_with("./") || source.starts_with("../");
    match std::env::current_dir() {
        Ok(here) if relative => {
            let path =
                onggi_model::volume_spec::clean_path(&here.join(source).display().to_string());
            format!("{path}:{rest}")
        }
        _ => spec.to_owned(),
    }
}

/// `-p` and `--expose`.
fn ports(matches: &Matches) -> Result<(PortSet, PortMap)> {
    let mut bindings = Vec::new();
    for spec in matches.all("publish") {
        let spec = published(spec)?;
        let published = onggi_model::ports::parse_publish(&spec)
            .map_err(|error| Error::new(error.to_string()))?;
        bindings.extend(published.into_iter().map(|(port, host)| {
            let binding = PortBinding {
                host_ip: host.host_ip(),
                host_port: host.host_port(),
            };
            (port, 1, Some(binding))
        }));
    }
    let bindings = PortMap::overlay(bindings);
    let mut exposed: PortSet = bindings.iter().map(|(port, _)| (port, Empty)).collect();
    for spec in matches.all("expose") {
        if spec.contains(':') {
            return Err(Error::new(format!(
                "invalid port format for --expose: {spec}"
            )));
        }
        let (range, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
        let fail = |error: String| {
            Error::new(format!(
                "invalid range format for --expose: {range}, error: {error}"
            ))
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let first = parse_uint(first, 16).map_err(fail)?;
        let last = parse_uint(last, 16).map_err(fail)?;
        if first > last {
            return Err(fail(format!("invalid range specified for port: {range}")));
        }
        exposed.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok((exposed, bindings))
}

/// The long form of `-p` (`published=80,target=8080,protocol=tcp`) in the short one.
fn published(spec: &str) -> Result<String> {
    if !spec.contains('=') {
        return Ok(spec.to_owned());
    }
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for field in spec.split(',') {
        match field.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some(("mode", _)) => {}
            Some((key, _)) => return Err(Error::new(format!("invalid field key {key}"))),
            None => return Err(Error::new(format!("invalid field {field}"))),
        }
    }
    if target.is_empty() {
        return Err(Error::new(format!(
            "missing mandatory field '{}'",
            "target"
        )));
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

fn healthcheck(matches: &Matches) -> Result<Option<HealthConfig>> {
    let nanos = |name: &str| match matches.one(name) {
        None => Ok(0),
        Some(text) => {
            let nanos = parse_duration(text).map_err(Error::new)?;
            if nanos < 0 {
                return Err(Error::new(format!("--{name} cannot be negative")));
            }
            Ok(nanos)
        }
    };
    let command = matches.text("health-cmd");
    let config = HealthConfig {
        test: (!command.is_empty()).then(|| vec!["CMD-SHELL".to_owned(), command.to_owned()]),
        interval: nanos("health-interval")?,
        timeout: nanos("health-timeout")?,
        start_period: nanos("health-start-period")?,
        start_interval: nanos("health-start-interval")?,
        retries: matches.int("health-retries").unwrap_or(0),
    };
    let given = config != HealthConfig::default();
    if matches.on("no-healthcheck") {
        if given {
            return Err(Error::new(
                "--no-healthcheck conflicts with --health-* options",
            ));
        }
        return Ok(Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }));
    }
    if config.retries < 0 {
        return Err(Error::new("--health-retries cannot be negative"));
    }
    Ok(given.then_some(config))
}

fn log_config(matches: &Matches) -> Result<LogConfig> {
    let kind = matches.text("log-driver").to_owned();
    let config = pairs(matches, "log-opt");
    if kind == "none" && !config.is_empty() {
        return Err(Error::new("invalid logging opts for driver none"));
    }
    Ok(LogConfig {
        kind,
        config: Some(config),
    })
}

/// `NAME[:TRIES]`.
pub(super) fn restart_policy(text: &str) -> Result<RestartPolicy> {
    let (name, tries) = match text.split_once(':') {
        Some((name, tries)) => (name, Some(tries)),
        None => (text, None),
    };
    if name.is_empty() && tries.is_some() {
        return Err(Error::new(
            "invalid restart policy format: no policy provided before colon",
        ));
    }
    let maximum_retry_count = match tries {
        None => 0,
        Some(tries) => parse_int(tries).map_err(|_| {
            Error::new("invalid restart policy format: maximum retry count must be an integer")
        })?,
    };
    let name = match name {
        "" | "no" => RestartPolicyMode::No,
        "always" => RestartPolicyMode::Always,
        "on-failure" => RestartPolicyMode::OnFailure,
        "unless-stopped" => RestartPolicyMode::UnlessStopped,
        other => {
            // The request has no place for it: said here in the words of the daemon that Docker's CLI leaves it to.
            return Err(Error::new(format!(
                "Error response from daemon: invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            )));
        }
    };
    Ok(RestartPolicy {
        name,
        maximum_retry_count,
    })
}

fn storage_options(matches: &Matches) -> Result<BTreeMap<String, String>> {
    matches
        .all("storage-opt")
        .map(|option| {
            let (key, value) = option
                .split_once('=')
                .ok_or_else(|| Error::new("invalid storage option"))?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

fn dns_search(matches: &Matches) -> Vec<String> {
    matches
        .all("dns-search")
        .map(|domain| domain.trim().to_owned())
        .collect()
}

/// `KEY=VALUE`s; a lone `KEY` has an empty value.
fn pairs(matches: &Matches, flag: &str) -> BTreeMap<String, String> {
    matches
        .all(flag)
        .map(|text| text.split_once('=').unwrap_or((text, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A size in bytes; 0 when it is not given.
pub(crate) fn bytes(matches: &Matches, flag: &str) -> Result<i64> {
    match matches.one(flag) {
        None => Ok(0),
        Some("-1") => Ok(-1),
        Some(text) => {
            onggi_model::units::ram_in_bytes(text).map_err(|error| Error::new(error.to_string()))
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
