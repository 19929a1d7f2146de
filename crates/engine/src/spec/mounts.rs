//! What is mounted into a container: the system's file systems, its own files, and what the user asked for.

use onggi_oci::runtime::Mount;
use onggi_runtime::defaults;

use super::{namespaces, security};
use crate::Engine;
use crate::container::{Record, mounts};
use crate::error::Result;

/// The mounts of the document, parents before children.
pub(crate) fn mounts(engine: &Engine, record: &Record) -> Result<Vec<Mount>> {
    let wanted = mounts::of(record)?;
    let taken = |destination: &str| wanted.iter().any(|mount| mount.target == destination);
    let mut list = system(engine, record)?;
    list.retain(|mount| !taken(&mount.destination));
    list.extend(
        own_files(engine, record)
            .into_iter()
            .filter(|m| !taken(&m.destination)),
    );
    let mut user: Vec<_> = wanted.iter().map(mounts::Wanted::to_oci).collect();
    // By depth, and in the order given within one: a parent never hides its child.
    user.sort_by_key(|mount| mount.destination.matches('/').count());
    list.extend(user);
    Ok(list)
}

/// proc, dev, sys, cgroup, shm, mqueue as Docker sets them up.
fn system(engine: &Engine, record: &Record) -> Result<Vec<Mount>> {
    let host = &record.host_config;
    let donor = namespaces::ipc_container(engine, host)?.map(|(_, donor)| donor.state.pid);
    let writable = host.privileged || security::options(host)?.writable_cgroups;
    let mut list = defaults::mounts();
    for mount in &mut list {
        match mount.destination.as_str() {
            "/dev/shm" if host.ipc_mode == "host" => {
                mount.kind = Some("bind".to_owned());
                mount.source = Some("/dev/shm".to_owned());
                mount.options = vec!["rbind".to_owned(), "rprivate".to_owned()];
            }
            "/dev/shm" if donor.is_some() => {
                // In the mount namespace of the other one, from where the runtime takes a copy.
                let pid = donor.unwrap_or_default();
                mount.kind = Some("bind".to_owned());
                mount.source = Some(format!("/proc/{pid}/root/dev/shm"));
                mount.options = vec!["bind".to_owned(), "rprivate".to_owned()];
            }
            "/dev/shm" => {
                mount.options.retain(|option| !option.starts_with("size="));
                mount.options.push(format!("size={}", host.shm_size));
            }
            // /dev/mqueue is always mounted anew: it shows the queues of whatever IPC namespace it is mounted in.
            "/sys" if !host.privileged => {}
            "/sys" | "/sys/fs/cgroup" if writable => {
                for option in &mut mount.options {
                    if option == "ro" {
                        "rw".clone_into(option);
                    }
                }
            }
            _ => {}
        }
    }
    list.retain(|mount| !(host.ipc_mode == "none" && mount.destination == "/dev/shm"));
    Ok(list)
}

/// `/etc/resolv.conf`, `/etc/hostname`, `/etc/hosts`: files of the daemon, the container's to write unless its root is
/// read-only.
fn own_files(engine: &Engine, record: &Record) -> Vec<Mount> {
    let owner = engine.network_owner(record);
    let directory = engine.container_directory(&owner);
    let access = if record.host_config.readonly_rootfs {
        "ro"
    } else {
        "rw"
    };
    ["resolv.conf", "hostname", "hosts"]
        .map(|name| Mount {
            destination: format!("/etc/{name}"),
            kind: Some("bind".to_owned()),
            source: Some(directory.join(name).display().to_string()),
            options: ["rbind", "rprivate", access].map(str::to_owned).to_vec(),
            ..Mount::default()
        })
        .to_vec()
}
