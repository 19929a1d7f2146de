//! What the process of a container sees: a record turned into an OCI runtime document.
//!
//! One file a concern. Each is a pure function of the record and what the machine can do, but for mounts, which
//! look at their sources.

pub(crate) mod cdi;
pub(crate) mod checks;
pub(crate) mod conflicts;
mod defaults;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod process;
mod propagation;
pub(crate) mod security;

use onggi_api::container::{HostConfig, Resources};
use onggi_cgroup::{Cgroups, Features, Layout};
use onggi_monitor::protocol::UserSpec;
use onggi_oci::runtime::{Linux, Spec, VERSION};

use crate::Engine;
use crate::container::{Record, links};
use crate::error::{Error, Result};

/// The document of one run.
pub(crate) fn build(engine: &Engine, record: &Record) -> Result<Spec> {
    let host = &record.host_config;
    let namespaces = namespaces::namespaces(engine, record)?;
    let readonly = host.readonly_rootfs;
    let mut process = process::process(record)?;
    let links = engine.links(record)?;
    links::environment(&links, &record.name, &mut process.env);
    let mut spec = Spec {
        version: VERSION.to_owned(),
        process: Some(process),
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
            cgroups_path: Some(cgroup_path(record, &engine.inner.cgroups)),
            devices: limits::devices(record)?,
            seccomp: security::seccomp(record)?,
            masked_paths: security::masked_paths(host),
            readonly_paths: security::readonly_paths(host),
            rootfs_propagation: Some(
                propagation::root(record, &engine.inner.config.data_root)?.to_owned(),
            ),
            namespaces,
            ..Linux::default()
        }),
        ..Spec::default()
    };
    defaults::apply(&engine.inner.config.defaults, record, &mut spec)?;
    cdi::apply(
        cdi::edits(host, &engine.inner.config.cdi_spec_dirs)?,
        &mut spec,
    )?;
    Ok(spec)
}

/// Who the process runs as; names are looked up inside the container.
pub(crate) fn user(engine: &Engine, record: &Record) -> Result<UserSpec> {
    let host = &record.host_config;
    let mut groups = host.group_add.clone().unwrap_or_default();
    groups.extend(cdi::groups(&cdi::edits(
        host,
        &engine.inner.config.cdi_spec_dirs,
    )?));
    Ok(UserSpec {
        user: record.config.user.clone(),
        groups,
    })
}

/// The control group of a container.
pub(crate) fn cgroup_path(record: &Record, cgroups: &Cgroups) -> String {
    let v2 = cgroups.layout() == Layout::V2;
    let parent = match record.host_config.cgroup_parent.as_str() {
        "" => crate::CGROUP_PARENT.to_owned(),
        parent => parent_path(parent, v2),
    };
    format!("{parent}/{}", record.id)
}

/// The group above a container whose user names one. systemd takes controllers away from groups of its units when no
/// unit needs them (at each daemon-reload), and limits with them; it cannot where a group below hands them on, so one
/// of ours goes between.
fn parent_path(given: &str, v2: bool) -> String {
    let given = given.trim_matches('/');
    let unit = [".slice", ".service", ".scope"];
    if v2 && unit.iter().any(|kind| given.ends_with(kind)) {
        format!("/{given}{}", crate::CGROUP_PARENT)
    } else {
        format!("/{given}")
    }
}

/// Refuses what the fields of a new container ask for and cannot have.
pub(crate) fn check(engine: &Engine, record: &Record) -> Result<()> {
    security::check(record)?;
    namespaces::check(engine, record)?;
    limits::check(record)?;
    cdi::edits(&record.host_config, &engine.inner.config.cdi_spec_dirs)?;
    network::requests(engine, record)?;
    Ok(())
}

/// Settles the limits of a new container against what the kernel knows. Returns what had to be given up.
pub(crate) fn settle_limits(engine: &Engine, host: &mut HostConfig) -> Result<Vec<String>> {
    let cgroups = &engine.inner.cgroups;
    let known = features(engine, &host.resources)?;
    let mut warnings = checks::resources(&mut host.resources, &known, checks::Asked::New)?;
    if host.cpu_realtime_runtime > 0 {
        let above = match host.cgroup_parent.as_str() {
            "" => crate::CGROUP_PARENT,
            above => above,
        };
        let most = cgroups
            .open(above)
            .ok()
            .and_then(|group| group.realtime())
            .map_or(0, |(most, _)| most);
        if most >= 0 && host.cpu_realtime_runtime > most {
            return Err(Error::invalid(format!(
                "the control group above the container may use {most} microseconds of real-time CPU time: \
                 --cpu-rt-runtime cannot be {}; write more to its cpu.rt_runtime_us",
                host.cpu_realtime_runtime
            )));
        }
    }
    warnings.extend(checks::rights(host)?);
    warnings.extend(conflicts::warnings(host));
    Ok(warnings)
}

/// What the kernel can limit. Only which processors there are may change while it runs.
pub(crate) fn features(engine: &Engine, asked: &Resources) -> Result<Features> {
    let known = &engine.inner.features;
    let processors = !(asked.cpuset_cpus.is_empty() && asked.cpuset_mems.is_empty());
    if let Some(known) = known.get().filter(|_| !processors) {
        return Ok(known.clone());
    }
    let found = engine.inner.cgroups.features(crate::CGROUP_PARENT);
    let failed =
        |error| Error::internal(onggi_model::chain(&error)).context("what the kernel can limit");
    let found = found.map_err(failed)?;
    // Another request may have looked at the same time, and seen the same.
    let _ = known.set(found.clone());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_ours_is_below_units_of_systemd() {
        for (given, v2, path) in [
            ("/pots", true, "/pots"),
            ("pots/kiln/", true, "/pots/kiln"),
            ("pots.slice", true, "/pots.slice/onggi"),
            ("/a.slice/b.service", true, "/a.slice/b.service/onggi"),
            ("/a.slice/mine", true, "/a.slice/mine"),
            ("/pots.slice", false, "/pots.slice"),
        ] {
            assert_eq!(parent_path(given, v2), path, "{given}");
        }
    }
}
