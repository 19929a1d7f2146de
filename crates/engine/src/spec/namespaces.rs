//! Which namespaces are the container's own, which are the host's, which are another container's.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};

use onggi_api::container::HostConfig;
use onggi_oci::runtime::{Namespace, NamespaceKind, Spec};

use super::network::Mode;
use crate::Engine;
use crate::container::Record;
use crate::error::{Error, Result};

/// A namespace mode: own, the host's, or that of a container.
#[derive(Debug, PartialEq, Eq)]
enum Share<'a> {
    Own,
    Host,
    Container(&'a str),
}

impl<'a> Share<'a> {
    fn parse(field: &str, mode: &'a str, own: &[&str]) -> Result<Self> {
        match mode {
            "host" => Ok(Self::Host),
            mode if own.contains(&mode) => Ok(Self::Own),
            mode => match mode.strip_prefix("container:") {
                Some(container) if !container.is_empty() => Ok(Self::Container(container)),
                _ => Err(Error::invalid(format!("invalid {field} mode: {mode}"))),
            },
        }
    }
}

fn pid(host: &HostConfig) -> Result<Share<'_>> {
    Share::parse("PID", &host.pid_mode, &["", "private"])
}

fn ipc(host: &HostConfig) -> Result<Share<'_>> {
    Share::parse("IPC", &host.ipc_mode, &["", "private", "none", "shareable"])
}

/// The container whose IPC namespace, and with it `/dev/shm`, is used.
pub(crate) fn ipc_container<'a>(
    engine: &Engine,
    host: &'a HostConfig,
) -> Result<Option<(&'a str, std::sync::Arc<Record>)>> {
    let Share::Container(other) = ipc(host)? else {
        return Ok(None);
    };
    let failed = |fault: Error| fault.context(format!("can't join IPC of container {other}"));
    let container = engine.inner.containers.find(other).map_err(failed)?;
    let record = container.record();
    if !record.state.is_running() {
        let fault = Error::conflict(format!("container {} is not running", container.id));
        return Err(failed(fault));
    }
    if record.host_config.ipc_mode != "shareable" {
        return Err(failed(Error::invalid(
            "non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
        )));
    }
    Ok(Some((other, record)))
}

fn uts(host: &HostConfig) -> Result<Share<'_>> {
    match Share::parse("UTS", &host.uts_mode, &[""])? {
        Share::Container(_) => Err(Error::invalid(format!(
            "invalid UTS mode: {}",
            host.uts_mode
        ))),
        share => Ok(share),
    }
}

/// Whether the container sees the host's control groups; its own view is the default only on cgroup v2, as Docker's.
pub(crate) fn own_cgroup_view(engine: &Engine, host: &HostConfig) -> Result<bool> {
    match host.cgroupns_mode.as_str() {
        "" => Ok(engine.is_v2() && !host.privileged),
        "private" => Ok(true),
        "host" => Ok(false),
        mode => Err(Error::invalid(format!(
            "invalid cgroup namespace mode: {mode}"
        ))),
    }
}

/// Refuses modes that cannot be.
pub(crate) fn check(engine: &Engine, record: &Record) -> Result<()> {
    let host = &record.host_config;
    pid(host)?;
    ipc(host)?;
    uts(host)?;
    let own_view = own_cgroup_view(engine, host)?;
    sysctls(record)?;
    if host.privileged && own_view && host.cgroupns_mode == "private" && !engine.is_v2() {
        return Err(Error::invalid(
            "privileged mode is incompatible with private cgroup namespaces on cgroup v1 host.  You must run the \
             container in the host cgroup namespace when running privileged mode",
        ));
    }
    if super::security::options(host)?.writable_cgroups
        && !(host.privileged || (own_view && engine.is_v2()))
    {
        // In a view of the host's groups that would be everybody's limits; on v1 the container's own are in the view.
        return Err(Error::invalid(
            "--security-opt writable-cgroups: needs cgroup v2 and a cgroup namespace of the container's own \
             (--cgroupns private)",
        ));
    }
    match host.userns_mode.as_str() {
        "" | "host" => Ok(()),
        mode => Err(Error::invalid(format!("invalid USER mode: {mode}"))),
    }
}

/// The list of the document: what is absent is the host's.
pub(crate) fn namespaces(engine: &Engine, record: &Record) -> Result<Vec<Namespace>> {
    let host = &record.host_config;
    let mut list = vec![Namespace {
        kind: NamespaceKind::Mount,
        path: None,
    }];
    let mut add = |kind, path| list.push(Namespace { kind, path });
    match pid(host)? {
        Share::Own => add(NamespaceKind::Pid, None),
        Share::Host => {}
        Share::Container(other) => add(NamespaceKind::Pid, Some(of(engine, other, "pid")?)),
    }
    match ipc_container(engine, host)? {
        Some((_, donor)) => {
            let path = format!("/proc/{}/ns/ipc", donor.state.pid);
            add(NamespaceKind::Ipc, Some(path));
        }
        None if ipc(host)? == Share::Own => add(NamespaceKind::Ipc, None),
        None => {}
    }
    if uts(host)? == Share::Own {
        add(NamespaceKind::Uts, None);
    }
    match Mode::of(host) {
        Mode::Host => {}
        Mode::Container(other) => add(NamespaceKind::Network, Some(of(engine, &other, "net")?)),
        Mode::Bridge | Mode::None | Mode::Named(_) => add(NamespaceKind::Network, None),
    }
    if own_cgroup_view(engine, host)? {
        add(NamespaceKind::Cgroup, None);
    }
    Ok(list)
}

/// The namespace file of a running container.
fn of(engine: &Engine, container: &str, kind: &str) -> Result<String> {
    let container = engine.inner.containers.find(container)?;
    let record = container.record();
    if !record.state.is_running() {
        return Err(Error::conflict(match kind {
            "net" => format!(
                "cannot join network of a non running container: {}",
                container.id
            ),
            _ => format!("container {} is not running", container.id),
        }));
    }
    Ok(format!("/proc/{}/ns/{kind}", record.state.pid))
}

/// Descriptors of the processes whose namespaces and files the document names by `/proc/PID`, each known to be a process of
/// its container. While they are held, and their processes live, the numbers in the document mean them.
pub(crate) fn joined(engine: &Engine, record: &Record, spec: &Spec) -> Result<Vec<OwnedFd>> {
    let host = &record.host_config;
    let modes = [&host.pid_mode, &host.ipc_mode, &host.network_mode];
    let others = modes
        .into_iter()
        .filter_map(|mode| mode.strip_prefix("container:"));
    let donors = others
        .map(|other| Ok(engine.inner.containers.find(other)?.record()))
        .collect::<Result<Vec<_>>>()?;
    let shared_memory = host.ipc_mode.starts_with("container:");
    let mut pids: Vec<u32> = numbers(spec, shared_memory).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter()
        .map(|pid| {
            let gone = |id: &str| Error::conflict(format!("container {id} is not running"));
            let donor = donors.iter().find(|donor| donor.state.pid == pid);
            // Started again since the document was written: then the number is of the run before.
            let donor = donor.ok_or_else(|| {
                gone(donors.first().map_or(record.id.as_str(), |d| d.id.as_str()))
            })?;
            let pidfd = onggi_sys::process::pidfd(pid).map_err(|_| gone(donor.id.as_str()))?;
            crate::container::process(donor)?;
            match onggi_sys::process::has_ended(pidfd.as_fd()) {
                true => Err(gone(donor.id.as_str())),
                false => Ok(pidfd),
            }
        })
        .collect()
}

/// The processes that a document names.
fn numbers(spec: &Spec, shared_memory: bool) -> impl Iterator<Item = u32> {
    let linux = spec.linux.iter();
    let namespaces = linux
        .flat_map(|linux| &linux.namespaces)
        .filter_map(|namespace| namespace.path.as_deref());
    // What users bind from there is their own affair.
    let shm = spec
        .mounts
        .iter()
        .filter(move |mount| shared_memory && mount.destination == "/dev/shm")
        .filter_map(|mount| mount.source.as_deref());
    namespaces
        .chain(shm)
        .filter_map(|path| path.strip_prefix("/proc/")?.split_once('/')?.0.parse().ok())
}

/// The name inside; none where the host's UTS namespace is used.
pub(crate) fn hostname(record: &Record) -> Option<String> {
    let own = uts(&record.host_config).is_ok_and(|share| share == Share::Own);
    Some(record.config.hostname.clone()).filter(|name| own && !name.is_empty())
}

/// Kernel parameters: the container's, and Docker's two for a network namespace of its own.
pub(crate) fn sysctls(record: &Record) -> Result<BTreeMap<String, String>> {
    let host = &record.host_config;
    let own_network = matches!(Mode::of(host), Mode::Bridge | Mode::None | Mode::Named(_));
    let mut all = BTreeMap::new();
    if own_network {
        all.insert(
            "net.ipv4.ip_unprivileged_port_start".to_owned(),
            "0".to_owned(),
        );
        all.insert(
            "net.ipv4.ping_group_range".to_owned(),
            "0 2147483647".to_owned(),
        );
    }
    for (name, value) in host.sysctls.iter().flatten() {
        let allowed = namespaced(name, own_network, ipc(host)? == Share::Own);
        if !allowed || name.contains(['/', '\n', '\0']) || value.contains(['\n', '\0']) {
            return Err(Error::invalid(format!(
                "sysctl \"{name}\" is not allowed: it does not belong to a namespace of the container"
            )));
        }
        all.insert(name.clone(), value.clone());
    }
    Ok(all)
}

/// Whether a parameter belongs to a namespace that is the container's own (namespaces(7)).
fn namespaced(name: &str, network: bool, ipc: bool) -> bool {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    (network && name.starts_with("net."))
        || (ipc && (IPC.contains(&name) || name.starts_with("fs.mqueue.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(Share::parse("PID", "", &[""]).expect("own"), Share::Own);
        assert_eq!(
            Share::parse("PID", "host", &[""]).expect("host"),
            Share::Host
        );
        assert_eq!(
            Share::parse("PID", "container:a", &[""]).expect("other"),
            Share::Container("a")
        );
        for bad in ["nonsense", "container:", "container"] {
            let text = Share::parse("PID", bad, &[""]).expect_err(bad).to_string();
            assert_eq!(text, format!("invalid PID mode: {bad}"));
        }
    }

    #[test]
    fn only_namespaced_parameters() {
        assert!(namespaced("net.core.somaxconn", true, true));
        assert!(!namespaced("net.core.somaxconn", false, true));
        assert!(namespaced("kernel.shmmax", true, true));
        assert!(!namespaced("kernel.core_pattern", true, true));
        assert!(!namespaced("vm.swappiness", true, true));
    }
}
