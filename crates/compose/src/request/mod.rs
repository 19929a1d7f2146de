//! A service turned into what the Engine API wants for its containers; networks and volumes likewise. Pure: whoever calls
//! knows which containers there are and what images say.

mod files; // configs and secrets: bound, or copied in
mod limits; // what a container may use
mod mounts; // volumes, binds, tmpfs
mod network; // networks, ports, links
mod parts; // networks and volumes of the project
mod refuse; // what no engine can do
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use onggi_api::container::{
    Config, CreateRequest, HealthConfig, HostConfig, LogConfig, MountPoint, NetworkingConfig,
    RestartPolicy, RestartPolicyMode,
};
use onggi_client::container::Create;

pub use files::{Copied, copied};
pub use parts::{network, volume};
pub use refuse::{Refusals, refuse};

use crate::error::{Error, Problem};
use crate::labels;
use crate::service::{Application, Healthcheck, Service};

/// A container that others name: for shared namespaces and links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Which one of its service it is.
    pub number: u32,
}

/// What is to be known of the container that is made, and of those beside it.
#[derive(Clone, Debug, Default)]
pub struct Making {
    /// The name it is made under.
    pub name: String,
    /// Which one of its service it is.
    pub number: u32,
    /// Is it one of `run`, and with which slug?
    pub oneoff: Option<String>,
    /// The id of its image; empty where it is not known yet.
    pub image_id: String,
    /// The volumes its image declares.
    pub image_volumes: Vec<String>,
    /// What the container had mounted whose place it takes.
    pub inherited: Vec<MountPoint>,
    /// The containers there are, by service.
    pub known: BTreeMap<String, Vec<Known>>,
    /// The container whose place it takes, by its name; it is not made under a name of its own then.
    pub replaces: Option<String>,
    /// Is it removed when it ends?
    pub auto_remove: bool,
    /// Is somebody attached to its standard input?
    pub attached: bool,
    /// Does it answer to the service's name in its networks?
    pub aliases: bool,
}

/// What to ask the engine for.
///
/// # Errors
/// What the service says and no engine can do, and files that cannot be read.
pub fn container(
    application: &Application,
    service: &Service,
    making: &Making,
) -> Result<Create, Error> {
    let (exposed_ports, port_bindings) = network::ports(service)?;
    let (binds, mounts) = mounts::mounts(application, service, making)?;
    let (network_mode, endpoints) = network::networks(application, service, making)?;
    let (security_opt, unconfined) = security(application, service)?;
    let in_links = endpoints.is_empty();
    let config = Config {
        hostname: service.hostname.clone(),
        domainname: service.domainname.clone(),
        user: service.user.clone(),
        attach_stdin: making.attached,
        attach_stdout: true,
        attach_stderr: true,
        exposed_ports,
        tty: service.tty,
        open_stdin: service.stdin_open,
        stdin_once: making.attached && service.stdin_open,
        env: environment(&service.environment),
        cmd: service.command.clone(),
        healthcheck: service.healthcheck.as_ref().map(healthcheck),
        image: service.image_name(&application.name),
        working_dir: service.working_dir.clone(),
        entrypoint: service.entrypoint.clone(),
        labels: Some(container_labels(application, service, making)),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: service
            .stop_grace_period
            .map(|time| time.as_secs_f64().ceil() as i64),
        ..Config::default()
    };
    let host = HostConfig {
        binds: Some(binds).filter(|binds| !binds.is_empty()),
        log_config: log_config(service),
        network_mode,
        port_bindings,
        restart_policy: restart_policy(service, making)?,
        auto_remove: making.auto_remove,
        volumes_from: mounts::volumes_from(service, making)?,
        annotations: Some(service.annotations.clone()).filter(|map| !map.is_empty()),
        cap_add: service.cap_add.clone(),
        cap_drop: service.cap_drop.clone(),
        cgroupns_mode: service.cgroup.clone(),
        dns: service.dns.clone(),
        dns_options: service.dns_opt.clone(),
        dns_search: service.dns_search.clone(),
        extra_hosts: extra_hosts(service),
        group_add: service.group_add.clone(),
        ipc_mode: network::namespace(service, "ipc", &service.ipc, making)?,
        links: Some(network::links(service, making)).filter(|links| in_links && !links.is_empty()),
        oom_score_adj: service.oom_score_adj,
        pid_mode: network::namespace(
            service,
            "pid",
            service.pid.as_deref().unwrap_or_default(),
            making,
        )?,
        privileged: service.privileged,
        readonly_rootfs: service.read_only,
        security_opt,
        storage_opt: Some(service.storage_opt.clone()).filter(|map| !map.is_empty()),
        tmpfs: mounts::tmpfs(service),
        uts_mode: service.uts.clone(),
        userns_mode: service.userns_mode.clone(),
        shm_size: service.shm_size,
        sysctls: Some(service.sysctls.clone()).filter(|map| !map.is_empty()),
        runtime: service.runtime.clone(),
        isolation: service.isolation.clone(),
        resources: limits::resources(service),
        mounts: Some(mounts).filter(|mounts| !mounts.is_empty()),
        masked_paths: unconfined.then(Vec::new),
        readonly_paths: unconfined.then(Vec::new),
        init: service.init,
        ..HostConfig::default()
    };
    Ok(Create {
        name: making.name.clone(),
        platform: service.platform.clone(),
        request: CreateRequest {
            config,
            host_config: Some(host),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(endpoints),
            })
            .filter(|_| !in_links),
        },
    })
}

/// `KEY=value`; `KEY` alone takes the image's variable away.
pub(crate) fn environment(map: &BTreeMap<String, Option<String>>) -> Option<Vec<String>> {
    let one = |(name, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    (!map.is_empty()).then(|| map.iter().map(one).collect())
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    let nanos = |time: Option<std::time::Duration>| {
        time.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
    };
    HealthConfig {
        test: match check.disable {
            true => Some(vec!["NONE".to_owned()]),
            false => check.test.clone(),
        },
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        start_period: nanos(check.start_period),
        start_interval: nanos(check.start_interval),
        retries: check.retries.unwrap_or_default(),
    }
}

fn log_config(service: &Service) -> LogConfig {
    let Some(logging) = &service.logging else {
        return LogConfig::default();
    };
    let options = logging.options.iter();
    let options = options.map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()));
    LogConfig {
        kind: logging.driver.clone(),
        config: Some(options.collect()),
    }
}

/// `restart`, over which `deploy.restart_policy` goes.
fn restart_policy(service: &Service, making: &Making) -> Result<RestartPolicy, Error> {
    // A container of `run` ends with its command.
    if making.oneoff.is_some() {
        return Ok(RestartPolicy::default());
    }
    let deploy = service.deploy.as_ref();
    if let Some(policy) = deploy.and_then(|deploy| deploy.restart_policy.as_ref()) {
        let name = match policy.condition.as_str() {
            "none" | "no" => RestartPolicyMode::No,
            "on-failure" => RestartPolicyMode::OnFailure,
            "unless-stopped" => RestartPolicyMode::UnlessStopped,
            "" | "any" | "always" => RestartPolicyMode::Always,
            other => {
                let message = format!("unknown condition '{other}'");
                return Err(wrong(service, "deploy.restart_policy", message)
                    .hint("use none, on-failure or any")
                    .into());
            }
        };
        let limited = name == RestartPolicyMode::OnFailure;
        return Ok(RestartPolicy {
            name,
            maximum_retry_count: if limited { policy.max_attempts } else { 0 },
        });
    }
    let (word, count) = match service.restart.split_once(':') {
        Some((word, count)) => (word, Some(count)),
        None => (service.restart.as_str(), None),
    };
    let name = match word {
        "" | "no" => RestartPolicyMode::No,
        "always" => RestartPolicyMode::Always,
        "on-failure" => RestartPolicyMode::OnFailure,
        "unless-stopped" => RestartPolicyMode::UnlessStopped,
        _ => {
            let message = format!("invalid restart policy: unknown policy '{word}'");
            let hint = "use no, always, on-failure[:times] or unless-stopped";
            return Err(wrong(service, "restart", message).hint(hint).into());
        }
    };
    let count = count.map(str::parse).transpose().map_err(|_| {
        let message = format!(
            "invalid restart policy '{}': no whole number of times",
            service.restart
        );
        wrong(service, "restart", message)
    })?;
    Ok(RestartPolicy {
        name,
        maximum_retry_count: count.unwrap_or_default(),
    })
}

fn extra_hosts(service: &Service) -> Option<Vec<String>> {
    let hosts = service.extra_hosts.iter();
    let hosts: Vec<String> = hosts
        .flat_map(|(host, addresses)| addresses.iter().map(move |ip| format!("{host}:{ip}")))
        .collect();
    (!hosts.is_empty()).then_some(hosts)
}

/// The options as the API has them; a profile for seccomp is read here, as it is sent with the request. Is nothing of
/// `/proc` hidden?
fn security(
    application: &Application,
    service: &Service,
) -> Result<(Option<Vec<String>>, bool), Error> {
    let mut unconfined = false;
    let mut options = Vec::new();
    for option in service.security_opt.iter().flatten() {
        let cut = option.split_once('=').or_else(|| option.split_once(':'));
        match cut {
            Some(("systempaths", "unconfined")) => unconfined = true,
            Some(("seccomp", profile)) if !matches!(profile, "unconfined" | "builtin") => {
                let path = application.directory.join(profile);
                let wrong = |reason: String| {
                    let message = format!("seccomp profile {}: {reason}", path.display());
                    wrong(service, "security_opt", message)
                };
                let text = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
                let json: serde_json::Value =
                    serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
                options.push(format!("seccomp={json}"));
            }
            Some((name, value)) => options.push(format!("{name}={value}")),
            None if option == "no-new-privileges" => options.push(option.clone()),
            None => {
                let message = format!("Invalid security-opt: \"{option}\"");
                return Err(wrong(service, "security_opt", message).into());
            }
        }
    }
    Ok((
        Some(options).filter(|options| !options.is_empty()),
        unconfined,
    ))
}

fn container_labels(
    application: &Application,
    service: &Service,
    making: &Making,
) -> BTreeMap<String, String> {
    let mut all = service.labels.clone();
    let mut set = |name: &str, value: String| {
        all.insert(name.to_owned(), value);
    };
    let list = |paths: &[std::path::PathBuf]| {
        let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
        paths.collect::<Vec<_>>().join(",")
    };
    set(labels::PROJECT, application.name.clone());
    set(labels::SERVICE, service.name.clone());
    set(labels::VERSION, labels::OUR_VERSION.to_owned());
    set(
        labels::WORKING_DIR,
        application.directory.to_string_lossy().into_owned(),
    );
    set(labels::CONFIG_FILES, list(&application.files));
    if !application.env_files.is_empty() {
        set(labels::ENVIRONMENT_FILE, list(&application.env_files));
    }
    let hash = application.hashes.get(&service.name).cloned();
    set(labels::CONFIG_HASH, hash.unwrap_or_default());
    set(labels::IMAGE, making.image_id.clone());
    let depends = service
        .depends_on
        .iter()
        .map(|(name, on)| format!("{name}:{}:{}", on.condition.as_str(), on.restart));
    set(labels::DEPENDS_ON, depends.collect::<Vec<_>>().join(","));
    match &making.oneoff {
        Some(slug) => {
            set(labels::ONEOFF, "True".to_owned());
            set(labels::SLUG, slug.clone());
        }
        None => {
            set(labels::ONEOFF, "False".to_owned());
            set(labels::NUMBER, making.number.to_string());
        }
    }
    if let Some(replaced) = &making.replaces {
        set(labels::REPLACE, replaced.clone());
    }
    all
}

/// Something wrong with a key of a service.
fn wrong(service: &Service, key: &str, message: impl Into<String>) -> Problem {
    let mut problem = Problem::general(message);
    problem.path = format!("services.{}.{key}", service.name);
    problem
}
