//! `update`: other limits and another restart policy for a container, running or not.

use onggi_api::container::{Resources, RestartPolicyMode, UpdateRequest, UpdateResponse};
use onggi_model::{ErrorKind, Fault as _};

use super::Record;
use super::record::Status;
use crate::error::{Error, Result};
use crate::spec::checks::{self, Asked};
use crate::{Engine, spec};

impl Engine {
    /// Changes what the request names; what it leaves out stays.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` for limits that cannot be; `Conflict` for those that do not go with the
    /// present ones; `Internal` where the kernel refuses (then nothing is changed on record).
    pub async fn container_update(
        &self,
        id: &str,
        mut request: UpdateRequest,
    ) -> Result<UpdateResponse> {
        let container = self.inner.containers.find(id)?;
        let cannot =
            |fault: Error| fault.context(format_args!("Cannot update container {}", container.id));
        let _writer = container.writer.lock().await;
        let before = container.record();
        if matches!(
            before.state.status,
            Status::Removing | Status::Dead | Status::Removed
        ) {
            return Err(cannot(Error::conflict(
                "container is marked for removal and cannot be \"update\"",
            )));
        }
        let known = spec::features(self, &request.resources)?;
        let mut warnings = checks::resources(&mut request.resources, &known, Asked::Change)?;
        let after = merged(&before, &request).map_err(cannot)?;
        super::create::check_restart_policy(&after.host_config)?;
        let mut after = after;
        crate::health::settle(&after.config, &mut after.host_config).map_err(cannot)?;
        if before.state.is_running() {
            let limits = limits(&after)?;
            let applied = self.with_group(&before, move |group| group.update(&limits));
            match applied.await {
                Ok(more) => warnings.extend(more),
                // It has just ended: the next start has the limits.
                Err(fault) if fault.kind() == ErrorKind::NotFound => {}
                Err(fault) => return Err(cannot(fault)),
            }
        }
        let host_config = after.host_config;
        self.commit(&container, |record| record.host_config = host_config)
            .await?;
        self.container_event(&container.record(), "update", []);
        Ok(UpdateResponse {
            warnings: (!warnings.is_empty()).then_some(warnings),
        })
    }
}

/// What the kernel is told: the limits as they are to be, devices aside.
fn limits(record: &Record) -> Result<onggi_oci::runtime::Resources> {
    let mut limits = spec::limits::resources(record)?;
    limits.devices.clear();
    Ok(limits)
}

/// The record with the changes of the request, where they go with what is there.
fn merged(record: &Record, request: &UpdateRequest) -> Result<Record> {
    let mut record = record.clone();
    let asked = &request.resources;
    refuse_what_stays(asked)?;
    refuse_conflicts(&record.host_config.resources, asked)?;
    let none = Resources::default();
    let to = &mut record.host_config.resources;
    macro_rules! take {
        ($($field:ident),*) => {
            $(if asked.$field != none.$field {
                to.$field = asked.$field.clone();
            })*
        };
    }
    take!(
        blkio_weight,
        blkio_weight_device,
        blkio_device_read_bps,
        blkio_device_write_bps,
        blkio_device_read_iops,
        blkio_device_write_iops,
        cpu_shares,
        nano_cpus,
        cpu_period,
        cpu_quota,
        cpu_realtime_period,
        cpu_realtime_runtime,
        cpuset_cpus,
        cpuset_mems,
        memory,
        memory_swap,
        memory_reservation,
        memory_swappiness,
        oom_kill_disable,
        pids_limit
    );
    // 0 takes a limit away as well; -1 is how that is written.
    to.pids_limit = to
        .pids_limit
        .map(|limit| if limit <= 0 { -1 } else { limit });
    if let Some(policy) = &request.restart_policy {
        if record.host_config.auto_remove && policy.name != RestartPolicyMode::No {
            return Err(Error::conflict(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            ));
        }
        record.host_config.restart_policy = policy.clone();
    }
    if !request.on_unhealthy.is_empty() {
        record
            .host_config
            .on_unhealthy
            .clone_from(&request.on_unhealthy);
    }
    Ok(record)
}

/// What is settled when a container is made.
fn refuse_what_stays(asked: &Resources) -> Result<()> {
    let given = |list: bool, name: &'static str| list.then_some(name);
    let fixed = [
        given(asked.devices.iter().flatten().next().is_some(), "Devices"),
        given(
            asked.device_cgroup_rules.iter().flatten().next().is_some(),
            "DeviceCgroupRules",
        ),
        given(
            asked.device_requests.iter().flatten().next().is_some(),
            "DeviceRequests",
        ),
        given(asked.ulimits.iter().flatten().next().is_some(), "Ulimits"),
        given(!asked.cgroup_parent.is_empty(), "CgroupParent"),
    ];
    match fixed.into_iter().flatten().next() {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!(
            "{name} is settled when a container is made: make a new one"
        ))),
    }
}

fn refuse_conflicts(now: &Resources, asked: &Resources) -> Result<()> {
    let conflicts = [
        (
            asked.nano_cpus > 0 && now.cpu_period > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            asked.nano_cpus > 0 && now.cpu_quota > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            asked.cpu_period > 0 && now.nano_cpus > 0,
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            asked.cpu_quota > 0 && now.nano_cpus > 0,
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        (
            asked.memory != 0 && asked.memory_swap == 0 && asked.memory > swap(now),
            "Memory limit should be smaller than already set memoryswap limit, update the \
             memoryswap at the same time",
        ),
    ];
    match conflicts.iter().find(|(conflict, _)| *conflict) {
        None => Ok(()),
        Some((_, text)) => Err(Error::conflict(*text)),
    }
}

/// The limit of memory and swap together, written out: twice the memory where nothing was said.
fn swap(now: &Resources) -> i64 {
    match now.memory_swap {
        0 => now.memory.max(0).saturating_mul(2),
        swap => swap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_dockers() {
        let resources = |change: &dyn Fn(&mut Resources)| {
            let mut resources = Resources::default();
            change(&mut resources);
            resources
        };
        let plain = Resources::default();
        let limited = resources(&|r| r.memory = 64 << 20);
        let cpus = resources(&|r| r.nano_cpus = 1);
        for (now, asked, good) in [
            (&plain, resources(&|r| r.memory = 64 << 20), false),
            (&limited, resources(&|r| r.memory = 128 << 20), true),
            (&limited, resources(&|r| r.memory = 129 << 20), false),
            (
                &limited,
                resources(&|r| (r.memory, r.memory_swap) = (129 << 20, -1)),
                true,
            ),
            (&cpus, resources(&|r| r.cpu_quota = 5000), false),
            (&cpus, resources(&|r| r.cpu_period = 5000), false),
            (&cpus, resources(&|r| r.nano_cpus = 2), true),
            (&plain, resources(&|r| r.nano_cpus = 2), true),
        ] {
            assert_eq!(refuse_conflicts(now, &asked).is_ok(), good, "{asked:?}");
        }
    }
}
