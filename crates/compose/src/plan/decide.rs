//! Is a container still what the project says? Of our own containers the hash tells; those of other programs are compared
//! with what they would be made of.

use std::collections::{BTreeMap, BTreeSet};

use onggi_api::container::{CreateRequest, Inspect, PortBinding};
use onggi_api::image;

use super::facts::Facts;
use crate::command::Recreate;
use crate::observe::{Container, State};
use crate::service::{Application, Service};

/// Why a container is made anew; nothing when it stays.
pub(super) fn why(
    application: &Application,
    service: &Service,
    container: &Container,
    facts: &Facts,
    policy: Recreate,
) -> Option<String> {
    match policy {
        Recreate::Never => return None,
        Recreate::Force => return Some("it was asked for".to_owned()),
        Recreate::Diverged => (),
    }
    if matches!(container.state, State::Dead | State::Removing) {
        return Some(format!("it is {}", container.state.as_str()));
    }
    if container.is_ours() {
        if application.hashes.get(&service.name) != Some(&container.config_hash) {
            return Some("its configuration changed".to_owned());
        }
        let image = facts.images.get(&service.image_name(&application.name));
        if let Some(image) = image
            && image.id != container.summary.image_id
            && container.labels.get(crate::labels::IMAGE) != Some(&image.id)
        {
            return Some("its image changed".to_owned());
        }
    } else if let Some(differences) = facts.differences.get(&container.id)
        && !differences.is_empty()
    {
        return Some(format!("it differs: {}", differences.join(", ")));
    }
    networks(application, service, container, facts).or_else(|| shared(service, container, facts))
}

/// It is in networks that are others by now.
fn networks(
    application: &Application,
    service: &Service,
    container: &Container,
    facts: &Facts,
) -> Option<String> {
    if !service.network_mode.is_empty() {
        return None;
    }
    let connected = &container.summary.network_settings.networks;
    for key in service.networks.keys() {
        let Some(wanted) = application.networks.get(key) else {
            continue;
        };
        match (
            connected.get(&wanted.name),
            facts.networks.get(&wanted.name),
        ) {
            (None, _) => return Some(format!("it is not in network {}", wanted.name)),
            (Some(endpoint), Some(network))
                if !endpoint.network_id.is_empty() && endpoint.network_id != network.id =>
            {
                return Some(format!("network {} is another one", wanted.name));
            }
            _ => (),
        }
    }
    None
}

/// It has the network of a container that is another one by now.
fn shared(service: &Service, container: &Container, facts: &Facts) -> Option<String> {
    let other = service.network_mode.strip_prefix("service:")?;
    let mode = &container.summary.host_config.network_mode;
    let held = mode.strip_prefix("container:")?;
    let there = facts
        .observed
        .of(other)
        .any(|one| one.id == held || one.name == held);
    (!there).then(|| format!("the container of {other} whose network it has is another one"))
}

/// How a container differs from what it would be made of. What is not said is the image's or the engine's, and no
/// difference.
pub fn differences(
    wanted: &CreateRequest,
    is: &Inspect,
    image: Option<&image::Config>,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let none = image::Config::default();
    let image = image.unwrap_or(&none);
    let (config, theirs) = (&wanted.config, &is.config);
    let mut differ = |name: &str, differs: bool| {
        if differs {
            found.push(name.to_owned());
        }
    };
    let text = |own: &str, inherited: &str, theirs: &str| {
        let wanted = if own.is_empty() { inherited } else { own };
        wanted != theirs
    };
    differ("image", config.image != theirs.image);
    differ("user", text(&config.user, &image.user, &theirs.user));
    differ(
        "working_dir",
        text(&config.working_dir, &image.working_dir, &theirs.working_dir),
    );
    differ(
        "stop_signal",
        text(&config.stop_signal, &image.stop_signal, &theirs.stop_signal),
    );
    differ(
        "hostname",
        !config.hostname.is_empty() && config.hostname != theirs.hostname,
    );
    differ("domainname", config.domainname != theirs.domainname);
    differ("tty", config.tty != theirs.tty);
    differ("stdin_open", config.open_stdin != theirs.open_stdin);
    differ(
        "stop_grace_period",
        config.stop_timeout != theirs.stop_timeout,
    );
    let words = |own: &Option<Vec<String>>, inherited: &Option<Vec<String>>| {
        own.clone()
            .or_else(|| inherited.clone())
            .unwrap_or_default()
    };
    let is_words = |theirs: &Option<Vec<String>>| theirs.clone().unwrap_or_default();
    differ(
        "entrypoint",
        words(&config.entrypoint, &image.entrypoint) != is_words(&theirs.entrypoint),
    );
    // An entrypoint of its own does away with the image's command.
    let inherited = if config.entrypoint.is_some() {
        &None
    } else {
        &image.cmd
    };
    differ(
        "command",
        words(&config.cmd, inherited) != is_words(&theirs.cmd),
    );
    differ(
        "environment",
        variables(&config.env, &image.env) != variables(&None, &theirs.env),
    );
    differ(
        "healthcheck",
        match (&config.healthcheck, &theirs.healthcheck) {
            (None, theirs) => *theirs != image.healthcheck,
            (Some(own), Some(theirs)) => {
                let number = |own: i64, theirs: i64| own != 0 && own != theirs;
                own.test.is_some() && own.test != theirs.test
                    || number(own.interval, theirs.interval)
                    || number(own.timeout, theirs.timeout)
                    || number(own.retries, theirs.retries)
                    || number(own.start_period, theirs.start_period)
            }
            (Some(own), None) => own.test.as_deref() != Some(&["NONE".to_owned()]),
        },
    );
    let labels = |map: &Option<BTreeMap<String, String>>| -> BTreeMap<String, String> {
        let all = map
            .iter()
            .flatten()
            .filter(|(name, _)| !name.starts_with("com.docker.compose."));
        all.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let mut wanted_labels = labels(&image.labels);
    wanted_labels.extend(labels(&config.labels));
    differ("labels", wanted_labels != labels(&theirs.labels));
    if let Some(host) = &wanted.host_config {
        let their = &is.host_config;
        let list = |list: &Option<Vec<String>>| -> BTreeSet<String> {
            list.iter().flatten().cloned().collect()
        };
        let capabilities = |names: &Option<Vec<String>>| -> BTreeSet<String> {
            let names = names.iter().flatten().map(|name| name.to_ascii_uppercase());
            names
                .map(|name| name.trim_start_matches("CAP_").to_owned())
                .collect()
        };
        let map = |map: &Option<BTreeMap<String, String>>| map.clone().unwrap_or_default();
        differ("restart", host.restart_policy != their.restart_policy);
        differ("privileged", host.privileged != their.privileged);
        differ("read_only", host.readonly_rootfs != their.readonly_rootfs);
        differ(
            "cap_add",
            capabilities(&host.cap_add) != capabilities(&their.cap_add),
        );
        differ(
            "cap_drop",
            capabilities(&host.cap_drop) != capabilities(&their.cap_drop),
        );
        differ("dns", list(&host.dns) != list(&their.dns));
        differ(
            "extra_hosts",
            list(&host.extra_hosts) != list(&their.extra_hosts),
        );
        differ("group_add", list(&host.group_add) != list(&their.group_add));
        differ("sysctls", map(&host.sysctls) != map(&their.sysctls));
        differ("tmpfs", map(&host.tmpfs) != map(&their.tmpfs));
        differ(
            "network_mode",
            !host.network_mode.is_empty() && host.network_mode != their.network_mode,
        );
        differ(
            "ipc",
            !host.ipc_mode.is_empty() && host.ipc_mode != their.ipc_mode,
        );
        differ("pid", host.pid_mode != their.pid_mode);
        differ("userns_mode", host.userns_mode != their.userns_mode);
        differ("mem_limit", host.memory != their.memory);
        differ(
            "mem_reservation",
            host.memory_reservation != their.memory_reservation,
        );
        differ("cpus", host.nano_cpus != their.nano_cpus);
        differ("cpu_shares", host.cpu_shares != their.cpu_shares);
        differ("cpuset", host.cpuset_cpus != their.cpuset_cpus);
        differ(
            "pids_limit",
            host.pids_limit.unwrap_or(0) != their.pids_limit.unwrap_or(0),
        );
        differ(
            "shm_size",
            host.shm_size != 0 && host.shm_size != their.shm_size,
        );
        differ("init", host.init.is_some() && host.init != their.init);
        differ(
            "devices",
            host.devices.clone().unwrap_or_default() != their.devices.clone().unwrap_or_default(),
        );
        differ(
            "logging",
            !host.log_config.kind.is_empty() && host.log_config != their.log_config,
        );
        differ(
            "ports",
            bindings(&host.port_bindings) != bindings(&their.port_bindings),
        );
        differ("volumes", mounted(wanted) != existing(is, image));
    }
    let endpoints = wanted.networking_config.as_ref();
    let endpoints = endpoints.and_then(|config| config.endpoints_config.as_ref());
    for (name, endpoint) in endpoints.into_iter().flatten() {
        let Some(there) = is.network_settings.networks.get(name) else {
            differ("networks", true);
            continue;
        };
        let aliases = endpoint
            .iter()
            .flat_map(|endpoint| endpoint.aliases.iter().flatten());
        let there: Vec<&String> = there
            .aliases
            .iter()
            .chain(&there.dns_names)
            .flatten()
            .collect();
        let mut missing = aliases.filter(|alias| !there.contains(alias));
        differ("networks", missing.next().is_some());
    }
    found.dedup();
    found
}

/// The variables, those of the image beneath.
fn variables(own: &Option<Vec<String>>, image: &Option<Vec<String>>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for text in image.iter().flatten().chain(own.iter().flatten()) {
        match text.split_once('=') {
            Some((name, value)) => {
                all.insert(name.to_owned(), value.to_owned());
            }
            None => {
                all.remove(text);
            }
        }
    }
    all
}

fn bindings(
    map: &Option<onggi_api::container::PortMap>,
) -> BTreeMap<String, Vec<(String, String)>> {
    let address = |ip: &str| match ip {
        "0.0.0.0" => String::new(),
        ip => ip.to_owned(),
    };
    let one = |binding: PortBinding| (address(&binding.host_ip), binding.host_port);
    let entries = map.iter().flat_map(|map| map.iter());
    let entries = entries.map(|(port, bound)| {
        let mut bound: Vec<_> = bound.unwrap_or_default().into_iter().map(one).collect();
        bound.sort();
        (port, bound)
    });
    entries.collect()
}

/// What would be mounted: source, whether it can be written, by target. Volumes without a name have none.
fn mounted(wanted: &CreateRequest) -> BTreeMap<String, (String, bool)> {
    let mut all = BTreeMap::new();
    let Some(host) = &wanted.host_config else {
        return all;
    };
    for bind in host.binds.iter().flatten() {
        let mut parts = bind.splitn(3, ':');
        let (source, target) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let read_only = parts
            .next()
            .is_some_and(|options| options.split(',').any(|word| word == "ro"));
        all.insert(target.to_owned(), (source.to_owned(), !read_only));
    }
    for mount in host.mounts.iter().flatten() {
        if mount.kind != "tmpfs" {
            all.insert(
                mount.target.clone(),
                (mount.source.clone(), !mount.read_only),
            );
        }
    }
    all
}

/// What is mounted. A volume with a name that nobody gave has none here, and one that the image asks for is left out.
fn existing(is: &Inspect, image: &image::Config) -> BTreeMap<String, (String, bool)> {
    let mut all = BTreeMap::new();
    let declared = |target: &String| {
        image
            .volumes
            .as_ref()
            .is_some_and(|map| map.contains_key(target))
    };
    for mount in is.mounts.iter().filter(|mount| mount.kind != "tmpfs") {
        let nameless = mount.kind == "volume"
            && mount.name.len() == 64
            && mount.name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if nameless && declared(&mount.destination) {
            continue;
        }
        let source = match mount.kind.as_str() {
            "volume" if nameless => "",
            "volume" => &mount.name,
            _ => &mount.source,
        };
        all.insert(mount.destination.clone(), (source.to_owned(), mount.rw));
    }
    all
}
