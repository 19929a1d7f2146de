//! What was said when a container was made: one entry a setting, with its flag and its Compose key.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Defaults, Said, Setting, networks, storage, words};

/// How a value in the documents becomes what was said.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// Nothing when 0.
    Number,
    /// Nothing when 0; with a unit where it is even.
    Bytes,
    Switch,
    List,
    /// A map as `key=value`.
    Map,
}

use Kind::{Bytes, List, Map as Pairs, Number, Switch, Text};

/// Field of `HostConfig`, flag, Compose key.
const HOST: &[(&str, &str, &str, Kind)] = &[
    ("Annotations", "annotation", "annotations", Pairs),
    ("AutoRemove", "rm", "", Switch),
    ("BlkioWeight", "blkio-weight", "blkio_config.weight", Number),
    ("CapAdd", "cap-add", "cap_add", List),
    ("CapDrop", "cap-drop", "cap_drop", List),
    ("CgroupParent", "cgroup-parent", "cgroup_parent", Text),
    ("CpuPeriod", "cpu-period", "cpu_period", Number),
    ("CpuQuota", "cpu-quota", "cpu_quota", Number),
    (
        "CpuRealtimePeriod",
        "cpu-rt-period",
        "cpu_rt_period",
        Number,
    ),
    (
        "CpuRealtimeRuntime",
        "cpu-rt-runtime",
        "cpu_rt_runtime",
        Number,
    ),
    ("CpuShares", "cpu-shares", "cpu_shares", Number),
    ("CpusetCpus", "cpuset-cpus", "cpuset", Text),
    ("CpusetMems", "cpuset-mems", "", Text),
    (
        "DeviceCgroupRules",
        "device-cgroup-rule",
        "device_cgroup_rules",
        List,
    ),
    ("Dns", "dns", "dns", List),
    ("DnsOptions", "dns-option", "dns_opt", List),
    ("DnsSearch", "dns-search", "dns_search", List),
    ("ExtraHosts", "add-host", "extra_hosts", List),
    ("GroupAdd", "group-add", "group_add", List),
    ("Memory", "memory", "mem_limit", Bytes),
    (
        "MemoryReservation",
        "memory-reservation",
        "mem_reservation",
        Bytes,
    ),
    ("OnUnhealthy", "on-unhealthy", "", Text),
    (
        "OomKillDisable",
        "oom-kill-disable",
        "oom_kill_disable",
        Switch,
    ),
    ("OomScoreAdj", "oom-score-adj", "oom_score_adj", Number),
    ("PidMode", "pid", "pid", Text),
    ("PidsLimit", "pids-limit", "pids_limit", Number),
    ("Privileged", "privileged", "privileged", Switch),
    ("PublishAllPorts", "publish-all", "", Switch),
    ("ReadonlyRootfs", "read-only", "read_only", Switch),
    ("StorageOpt", "storage-opt", "storage_opt", Pairs),
    ("Sysctls", "sysctl", "sysctls", Pairs),
    ("UTSMode", "uts", "uts", Text),
    ("UsernsMode", "userns", "userns_mode", Text),
    ("VolumeDriver", "volume-driver", "", Text),
    ("VolumesFrom", "volumes-from", "volumes_from", List),
];

/// Everything that was said, but image, command and entrypoint.
pub(super) fn all(container: &Value, image: &Value, defaults: &Defaults) -> Vec<Setting> {
    let (host, config) = (&container["HostConfig"], &container["Config"]);
    let mut found = Found(Vec::new());
    for (field, flag, key, kind) in HOST {
        found.add(flag, key, said(&host[*field], *kind));
    }
    limits(&mut found, host);
    devices(&mut found, host);
    identity(&mut found, container, image);
    health(
        &mut found,
        &config["Healthcheck"],
        &image["Config"]["Healthcheck"],
    );
    ports(&mut found, container, image);
    modes(&mut found, host, defaults);
    found.0.extend(storage::all(container, image));
    found.0.extend(networks::all(container));
    found.0.sort_by_key(|setting| setting.flag);
    found.0
}

struct Found(Vec<Setting>);

impl Found {
    fn add(&mut self, flag: &'static str, key: &'static str, value: Option<Said>) {
        if let Some(value) = value {
            self.0.push(Setting { flag, key, value });
        }
    }

    fn text(&mut self, flag: &'static str, key: &'static str, text: &str) {
        if !text.is_empty() {
            self.add(flag, key, Some(Said::Text(text.to_owned())));
        }
    }

    fn list(&mut self, flag: &'static str, key: &'static str, list: Vec<String>) {
        if !list.is_empty() {
            self.add(flag, key, Some(Said::List(list)));
        }
    }
}

fn said(value: &Value, kind: Kind) -> Option<Said> {
    match kind {
        Text => value.as_str().filter(|text| !text.is_empty()).map(text_of),
        Number => value.as_i64().filter(|n| *n != 0).map(Said::Number),
        Bytes => value
            .as_i64()
            .filter(|n| *n != 0)
            .map(|n| text_of(&bytes(n))),
        Switch => (value == true).then_some(Said::Switch(true)),
        List => Some(words(value))
            .filter(|list| !list.is_empty())
            .map(Said::List),
        Pairs => {
            let pairs = pairs(value.as_object(), &Map::new());
            (!pairs.is_empty()).then_some(Said::List(pairs))
        }
    }
}

fn text_of(text: &str) -> Said {
    Said::Text(text.to_owned())
}

/// `key=value` for what is not in `base`.
fn pairs(map: Option<&Map<String, Value>>, base: &Map<String, Value>) -> Vec<String> {
    map.into_iter()
        .flatten()
        .filter(|(key, value)| base.get(*key) != Some(value))
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect()
}

/// Bytes as flags take them.
pub(super) fn bytes(bytes: i64) -> String {
    for (unit, size) in [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)] {
        if bytes > 0 && bytes % size == 0 {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

/// Nanoseconds as flags take them.
fn duration(nanoseconds: i64) -> String {
    for (unit, size) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if nanoseconds % size == 0 {
            return format!("{}{unit}", nanoseconds / size);
        }
    }
    format!("{nanoseconds}ns")
}

fn limits(found: &mut Found, host: &Value) {
    let number = |field: &str| host[field].as_i64().unwrap_or(0);
    let nano = number("NanoCpus");
    if nano != 0 {
        let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        found.text(
            "cpus",
            "cpus",
            text.trim_end_matches('0').trim_end_matches('.'),
        );
    }
    let (memory, swap) = (number("Memory"), number("MemorySwap"));
    // Twice the memory is what the daemon takes by itself.
    if swap != 0 && (memory == 0 || swap != memory.saturating_mul(2)) {
        found.text("memory-swap", "memswap_limit", &bytes(swap));
    }
    if let Some(swappiness @ 0..) = host["MemorySwappiness"].as_i64() {
        found.add(
            "memory-swappiness",
            "mem_swappiness",
            Some(Said::Number(swappiness)),
        );
    }
    let shm = number("ShmSize");
    if !matches!(shm, 0 | 67_108_864) {
        found.text("shm-size", "shm_size", &bytes(shm));
    }
    let ulimits = host["Ulimits"].as_array().into_iter().flatten();
    found.list(
        "ulimit",
        "ulimits",
        ulimits
            .map(|limit| {
                let number = |field: &str| limit[field].as_i64().unwrap_or(0);
                let name = limit["Name"].as_str().unwrap_or_default();
                match (number("Soft"), number("Hard")) {
                    (soft, hard) if soft == hard => format!("{name}={soft}"),
                    (soft, hard) => format!("{name}={soft}:{hard}"),
                }
            })
            .collect(),
    );
}

fn devices(found: &mut Found, host: &Value) {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let mut devices = Vec::new();
    for device in host["Devices"].as_array().into_iter().flatten() {
        let (from, to) = (text(device, "PathOnHost"), text(device, "PathInContainer"));
        let rights = text(device, "CgroupPermissions");
        devices.push(match (from == to, rights.as_str()) {
            (true, "rwm" | "") => from,
            (false, "rwm" | "") => format!("{from}:{to}"),
            _ => format!("{from}:{to}:{rights}"),
        });
    }
    for request in host["DeviceRequests"].as_array().into_iter().flatten() {
        if request["Driver"] == "cdi" {
            devices.extend(words(&request["DeviceIDs"]));
            continue;
        }
        found.text("gpus", "", &gpus(request));
    }
    found.list("device", "devices", devices);
    for (field, flag, key) in [
        (
            "BlkioDeviceReadBps",
            "device-read-bps",
            "blkio_config.device_read_bps",
        ),
        (
            "BlkioDeviceReadIOps",
            "device-read-iops",
            "blkio_config.device_read_iops",
        ),
        (
            "BlkioDeviceWriteBps",
            "device-write-bps",
            "blkio_config.device_write_bps",
        ),
        (
            "BlkioDeviceWriteIOps",
            "device-write-iops",
            "blkio_config.device_write_iops",
        ),
        (
            "BlkioWeightDevice",
            "blkio-weight-device",
            "blkio_config.weight_device",
        ),
    ] {
        let entries = host[field].as_array().into_iter().flatten();
        let entries = entries.map(|entry| {
            let number = entry["Rate"].as_u64().or_else(|| entry["Weight"].as_u64());
            format!("{}:{}", text(entry, "Path"), number.unwrap_or(0))
        });
        found.list(flag, key, entries.collect());
    }
}

fn gpus(request: &Value) -> String {
    let ids = words(&request["DeviceIDs"]);
    let count = request["Count"].as_i64().unwrap_or(0);
    let mut fields = Vec::new();
    let driver = request["Driver"].as_str().unwrap_or_default();
    if !driver.is_empty() {
        fields.push(format!("driver={driver}"));
    }
    if !ids.is_empty() {
        fields.push(format!("\"device={}\"", ids.join(",")));
    } else if count == -1 {
        fields.push("count=all".to_owned());
    } else if count > 0 {
        fields.push(format!("count={count}"));
    }
    let sets = request["Capabilities"].as_array().into_iter().flatten();
    let capabilities: BTreeSet<String> = sets.flat_map(words).collect();
    let capabilities: Vec<String> = capabilities.into_iter().filter(|c| c != "gpu").collect();
    if !capabilities.is_empty() {
        fields.push(format!("\"capabilities={}\"", capabilities.join(",")));
    }
    match (fields.as_slice(), count) {
        ([one], -1) if one == "count=all" => "all".to_owned(),
        ([one], n) if one.starts_with("count=") => n.to_string(),
        _ => fields.join(","),
    }
}

/// Who it is: name, user, environment, labels, signals, terminal.
fn identity(found: &mut Found, container: &Value, image: &Value) {
    let (config, of_image) = (&container["Config"], &image["Config"]);
    let text = |field: &str| config[field].as_str().unwrap_or_default();
    let name = container["Name"].as_str().unwrap_or_default();
    found.text("name", "container_name", name.trim_start_matches('/'));
    let id = container["Id"].as_str().unwrap_or_default();
    let mode = container["HostConfig"]["NetworkMode"]
        .as_str()
        .unwrap_or_default();
    let own_name = mode != "host" && !mode.starts_with("container:");
    if own_name && !(text("Hostname").len() == 12 && id.starts_with(text("Hostname"))) {
        found.text("hostname", "hostname", text("Hostname"));
    }
    found.text("domainname", "domainname", text("Domainname"));
    for (field, flag, key) in [
        ("User", "user", "user"),
        ("WorkingDir", "workdir", "working_dir"),
        ("StopSignal", "stop-signal", "stop_signal"),
    ] {
        if config[field] != of_image[field] {
            found.text(flag, key, text(field));
        }
    }
    if let Some(seconds) = config["StopTimeout"].as_i64() {
        found.add(
            "stop-timeout",
            "stop_grace_period",
            Some(Said::Number(seconds)),
        );
    }
    found.add(
        "interactive",
        "stdin_open",
        said(&config["OpenStdin"], Switch),
    );
    found.add("tty", "tty", said(&config["Tty"], Switch));
    let known: BTreeSet<String> = words(&of_image["Env"]).into_iter().collect();
    let env = words(&config["Env"]);
    found.list(
        "env",
        "environment",
        env.into_iter()
            .filter(|pair| !known.contains(pair))
            .collect(),
    );
    let none = Map::new();
    let base = of_image["Labels"].as_object().unwrap_or(&none);
    found.list("label", "labels", pairs(config["Labels"].as_object(), base));
}

fn health(found: &mut Found, own: &Value, of_image: &Value) {
    if own.is_null() || own == of_image {
        return;
    }
    let test = words(&own["Test"]);
    match test.split_first() {
        Some((kind, _)) if kind == "NONE" => {
            found.add(
                "no-healthcheck",
                "healthcheck.disable",
                Some(Said::Switch(true)),
            );
            return;
        }
        // The flag knows a line for a shell only.
        Some((kind, line)) if kind == "CMD-SHELL" => {
            found.text("health-cmd", "healthcheck.test", &line.join(" "));
        }
        Some((_, line)) => {
            let line: Vec<String> = line
                .iter()
                .map(|word| crate::text::shell_word(word))
                .collect();
            found.text("health-cmd", "healthcheck.test", &line.join(" "));
        }
        None => {}
    }
    for (field, flag, key) in [
        ("Interval", "health-interval", "healthcheck.interval"),
        ("Timeout", "health-timeout", "healthcheck.timeout"),
        (
            "StartPeriod",
            "health-start-period",
            "healthcheck.start_period",
        ),
        (
            "StartInterval",
            "health-start-interval",
            "healthcheck.start_interval",
        ),
    ] {
        if let Some(time) = own[field].as_i64().filter(|time| *time != 0) {
            found.text(flag, key, &duration(time));
        }
    }
    found.add(
        "health-retries",
        "healthcheck.retries",
        said(&own["Retries"], Number),
    );
}

fn ports(found: &mut Found, container: &Value, image: &Value) {
    let keys = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    };
    let bindings = &container["HostConfig"]["PortBindings"];
    let mut published = Vec::new();
    for (port, places) in bindings.as_object().into_iter().flatten() {
        let port = port.strip_suffix("/tcp").unwrap_or(port);
        for place in places.as_array().into_iter().flatten() {
            let host = place["HostPort"].as_str().unwrap_or_default();
            let ip = place["HostIp"].as_str().unwrap_or_default();
            let ip = if ip.contains(':') {
                format!("[{ip}]")
            } else {
                ip.to_owned()
            };
            published.push(match (ip.as_str(), host) {
                ("", "" | "0") => port.to_owned(),
                ("", host) => format!("{host}:{port}"),
                (ip, host) => format!("{ip}:{host}:{port}"),
            });
        }
    }
    found.list("publish", "ports", published);
    let own = keys(&container["Config"]["ExposedPorts"]);
    let known: BTreeSet<String> = &keys(&image["Config"]["ExposedPorts"]) | &keys(bindings);
    let exposed = own.difference(&known);
    let exposed = exposed.map(|port| port.strip_suffix("/tcp").unwrap_or(port).to_owned());
    found.list("expose", "expose", exposed.collect());
}

/// What depends on the daemon's defaults.
fn modes(found: &mut Found, host: &Value, defaults: &Defaults) {
    let text = |field: &str| host[field].as_str().unwrap_or_default();
    if !matches!(text("IpcMode"), "private" | "shareable") {
        found.text("ipc", "ipc", text("IpcMode"));
    }
    if text("CgroupnsMode") != defaults.cgroupns {
        found.text("cgroupns", "cgroup", text("CgroupnsMode"));
    }
    if text("Runtime") != defaults.runtime {
        found.text("runtime", "runtime", text("Runtime"));
    }
    if let Some(init) = host["Init"].as_bool() {
        found.add("init", "init", Some(Said::Switch(init)));
    }
    let log = &host["LogConfig"];
    let options = pairs(log["Config"].as_object(), &Map::new());
    let driver = log["Type"].as_str().unwrap_or_default();
    if driver != defaults.log_driver || !options.is_empty() {
        found.text("log-driver", "logging.driver", driver);
        found.list("log-opt", "logging.options", options);
    }
    let policy = &host["RestartPolicy"];
    match (
        policy["Name"].as_str().unwrap_or_default(),
        policy["MaximumRetryCount"].as_i64(),
    ) {
        ("" | "no", _) => {}
        ("on-failure", Some(most @ 1..)) => {
            found.text("restart", "restart", &format!("on-failure:{most}"));
        }
        (name, _) => found.text("restart", "restart", name),
    }
    let mut security = words(&host["SecurityOpt"]);
    // Nothing is hidden: that was said in its own way.
    let bare = |field: &str| host[field].as_array().is_some_and(Vec::is_empty);
    if bare("MaskedPaths") && bare("ReadonlyPaths") && host["Privileged"] != true {
        security.push("systempaths=unconfined".to_owned());
    }
    // Labels that privileged containers get by themselves.
    security.retain(|option| option != "label=disable" || host["Privileged"] != true);
    found.list("security-opt", "security_opt", security);
}
