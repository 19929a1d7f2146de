//! Which namespaces are the container's own, which are the host's, which are another container's.

use std::collections::BTreeMap;

use onggi_api::container::HostConfig;
use onggi_oci::runtime::{Namespace, NamespaceKind};

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
