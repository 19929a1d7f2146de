//! What is mounted into a container: the system's file systems, its own files, and what the user asked for.

use onggi_oci::runtime::Mount;
use onggi_runtime::defaults;

use super::{namespaces, security};
use crate::Engine;
use crate::container::Record;
use crate::container::mounts::{ImageMount, Wanted, What};
use crate::error::{Error, Result};

/// The mounts of the document, parents before children.
pub(crate) fn mounts(engine: &Engine, record: &Record) -> Result<Vec<Mount>> {
    let wanted = &record.wanted;
    let taken = |destination: &str| wanted.iter().any(|mount| mount.target == destination);
    let mut list = system(engine, record)?;
    list.retain(|mount| !taken(&mount.destination));
    list.extend(
        own_files(engine, record)
            .into_iter()
            .filter(|m| !taken(&m.destination)),
    );
    let mut user = Vec::new();
    for one in wanted {
        user.push(match &one.what {
            What::Image(image) => image_mount(engine, one, image)?,
            _ => match one.to_oci(&engine.inner.volumes) {
                Some(mount) => mount,
                None => continue,
            },
        });
    }
    list.extend(user);
    by_depth(&mut list);
    Ok(list)
}

/// What of them keeps files: the daemon's own, binds, volumes and images. What the kernel makes up, and what is gone
/// when a container stops, is not among them.
pub(crate) fn kept(engine: &Engine, record: &Record) -> Vec<Mount> {
    let wanted = &record.wanted;
    let taken = |destination: &str| wanted.iter().any(|mount| mount.target == destination);
    let mut list = own_files(engine, record);
    list.retain(|mount| !taken(&mount.destination));
    let user = wanted.iter().filter_map(|one| match &one.what {
        // Without its image there is nothing to see.
        What::Image(image) => image_mount(engine, one, image).ok(),
        _ => one.to_oci(&engine.inner.volumes),
    });
    list.extend(user.filter(|mount| mount.kind.as_deref() != Some("tmpfs")));
    by_depth(&mut list);
    list
}

/// By depth, and in the order given within one: a parent never hides its child, whoever wants them.
fn by_depth(mounts: &mut [Mount]) {
    mounts.sort_by_key(|mount| mount.destination.matches('/').count());
}

/// The layers of an image, merged and read-only. One directory alone is no overlay, and a file neither.
fn image_mount(engine: &Engine, wanted: &Wanted, image: &ImageMount) -> Result<Mount> {
    let record = engine.inner.store.image(&image.id)?;
    let record =
        record.ok_or_else(|| Error::not_found(format!("No such image: {}", image.reference)))?;
    let layers = engine
        .inner
        .snapshots
        .view(record.layers.last(), &image.subpath)?;
    let mut options = Vec::new();
    let mut mount = Mount {
        destination: wanted.target.clone(),
        ..Mount::default()
    };
    match &layers[..] {
        [] => {
            return Err(Error::invalid(format!(
                "cannot access path {} in image {}: no such file or directory",
                image.subpath, image.reference
            )));
        }
        [layer] => {
            mount.kind = Some("bind".to_owned());
            mount.source = Some(layer.display().to_string());
            options.extend(["bind", "ro", "rprivate"].map(str::to_owned));
        }
        layers => {
            mount.kind = Some("overlay".to_owned());
            mount.source = Some("overlay".to_owned());
            options.extend(["ro", "rprivate"].map(str::to_owned));
            // Topmost first, one by one (Linux 6.7).
            options.extend(
                layers
                    .iter()
                    .map(|layer| format!("lowerdir+={}", layer.display())),
            );
        }
    }
    mount.options = options;
    Ok(mount)
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
