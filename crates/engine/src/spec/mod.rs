//! What the process of a container sees: a record turned into an OCI runtime document.
//!
//! One file a concern. Each is a pure function of the record and what the machine can do, but for mounts, which
//! look at their sources.

pub(crate) mod limits;
mod mounts;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod security;

use onggi_monitor::protocol::UserSpec;
use onggi_oci::runtime::{Linux, Spec, VERSION};

use crate::Engine;
use crate::container::Record;
use crate::error::Result;

/// The document of one run.
pub(crate) fn build(engine: &Engine, record: &Record) -> Result<Spec> {
    let host = &record.host_config;
    let namespaces = namespaces::namespaces(engine, record)?;
    let readonly = host.readonly_rootfs;
    Ok(Spec {
        version: VERSION.to_owned(),
        process: Some(process::process(record)?),
        root: Some(onggi_oci::runtime::Root {
            path: "rootfs".to_owned(),
            readonly,
        }),
        hostname: namespaces::hostname(record),
        domainname: Some(record.config.domainname.clone()).filter(|name| !name.is_empty()),
        mounts: mounts::mounts(engine, record)?,
        annotations: host
            .annotations
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        linux: Some(Linux {
            sysctl: namespaces::sysctls(record)?,
            resources: Some(limits::resources(record)?),
            cgroups_path: Some(cgroup_path(record)),
            devices: limits::devices(record)?,
            seccomp: security::seccomp(record)?,
            masked_paths: security::masked_paths(host),
            readonly_paths: security::readonly_paths(host),
            rootfs_propagation: Some("private".to_owned()),
            namespaces,
            ..Linux::default()
        }),
        ..Spec::default()
    })
}

/// Who the process runs as; names are looked up inside the container.
pub(crate) fn user(record: &Record) -> UserSpec {
    UserSpec {
        user: record.config.user.clone(),
        groups: record.host_config.group_add.clone().unwrap_or_default(),
    }
}

/// The control group of a container.
pub(crate) fn cgroup_path(record: &Record) -> String {
    match record.host_config.cgroup_parent.as_str() {
        "" => format!("{}/{}", crate::CGROUP_PARENT, record.id),
        parent => format!("/{}/{}", parent.trim_matches('/'), record.id),
    }
}

/// Refuses what the fields of a new container ask for and cannot have.
pub(crate) fn check(engine: &Engine, record: &Record) -> Result<()> {
    security::check(record)?;
    namespaces::check(engine, record)?;
    limits::check(record)?;
    network::request(record)?;
    Ok(())
}
