//! What is mounted in a container: binds and named volumes in the old form that makes missing folders, everything with
//! options of its own as a mount.

use std::collections::BTreeMap;

use onggi_api::container::{
    BindOptions, ImageOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions,
};

use super::{Making, files, wrong};
use crate::error::Error;
use crate::service::{Application, Service, VolumeMount};

/// Binds and mounts, in the order of the file.
pub(super) fn mounts(
    application: &Application,
    service: &Service,
    making: &Making,
) -> Result<(Vec<String>, Vec<Mount>), Error> {
    let (mut binds, mut mounts) = (Vec::new(), Vec::new());
    let mut taken = Vec::new();
    for volume in &service.volumes {
        taken.push(volume.target.as_str());
        match one(application, service, volume, making)? {
            Either::Bind(bind) => binds.push(bind),
            Either::Mount(mount) => mounts.push(*mount),
        }
    }
    // Volumes that the image declares and nobody named: those of the container before go on.
    for old in &making.inherited {
        let declared = making.image_volumes.contains(&old.destination);
        if declared && old.kind == "volume" && !taken.contains(&old.destination.as_str()) {
            mounts.push(inherited(old));
        }
    }
    for file in files::bound(application, service)? {
        if !taken.contains(&file.target.as_str()) {
            mounts.push(file);
        }
    }
    Ok((binds, mounts))
}

enum Either {
    Bind(String),
    Mount(Box<Mount>),
}

fn one(
    application: &Application,
    service: &Service,
    volume: &VolumeMount,
    making: &Making,
) -> Result<Either, Error> {
    let mut mount = Mount {
        kind: volume.kind.clone(),
        source: volume.source.clone(),
        target: volume.target.clone(),
        read_only: volume.read_only,
        consistency: volume.consistency.clone(),
        ..Mount::default()
    };
    match volume.kind.as_str() {
        "bind" => {
            if volume.bind.create_host_path && volume.bind.recursive.is_empty() {
                let extra = [
                    volume.bind.selinux.as_str(),
                    volume.bind.propagation.as_str(),
                ];
                return Ok(Either::Bind(bind(&volume.source, volume, &extra)));
            }
            if !volume.bind.selinux.is_empty() {
                let message = "selinux goes with create_host_path and without recursive only";
                return Err(wrong(service, "volumes", message)
                    .hint("leave one of them out")
                    .into());
            }
            mount.bind_options =
                Some(bind_options(volume)).filter(|o| *o != BindOptions::default());
        }
        "volume" if volume.source.is_empty() => {
            let old = making.inherited.iter();
            let mut old =
                old.filter(|old| old.kind == "volume" && old.destination == volume.target);
            if let Some(old) = old.next() {
                return Ok(Either::Mount(Box::new(inherited(old))));
            }
            mount.volume_options = volume_options(volume);
        }
        "volume" => {
            let known = application.volumes.get(&volume.source);
            let name = known.map_or(&volume.source, |known| &known.name);
            let options = volume_options(volume);
            let special = options
                .as_ref()
                .is_some_and(|options| !options.subpath.is_empty() || options.labels.is_some());
            if !special {
                let nocopy = if volume.volume.nocopy { "nocopy" } else { "" };
                return Ok(Either::Bind(bind(name, volume, &[nocopy])));
            }
            mount.source.clone_from(name);
            mount.volume_options = options;
        }
        "tmpfs" => {
            let options = TmpfsOptions {
                size_bytes: volume.tmpfs.size,
                mode: volume.tmpfs.mode.unwrap_or_default(),
                options: None,
            };
            mount.tmpfs_options = Some(options).filter(|o| *o != TmpfsOptions::default());
        }
        "image" => {
            let subpath = volume.image.subpath.clone();
            mount.image_options = Some(ImageOptions { subpath }).filter(|o| !o.subpath.is_empty());
        }
        other => {
            let message = format!("volumes of type {other} are a swarm's");
            let hint = "use a volume, a bind or a tmpfs";
            return Err(wrong(service, "volumes", message).hint(hint).into());
        }
    }
    Ok(Either::Mount(Box::new(mount)))
}

/// `source:target:rw,z`
fn bind(source: &str, volume: &VolumeMount, extra: &[&str]) -> String {
    let access = if volume.read_only { "ro" } else { "rw" };
    let options: Vec<&str> = std::iter::once(access)
        .chain(extra.iter().copied().filter(|word| !word.is_empty()))
        .collect();
    format!("{source}:{}:{}", volume.target, options.join(","))
}

fn bind_options(volume: &VolumeMount) -> BindOptions {
    BindOptions {
        propagation: volume.bind.propagation.clone(),
        create_mountpoint: volume.bind.create_host_path,
        non_recursive: volume.bind.recursive == "disabled",
        read_only_non_recursive: volume.bind.recursive == "writable",
        read_only_force_recursive: volume.bind.recursive == "readonly",
    }
}

fn volume_options(volume: &VolumeMount) -> Option<VolumeOptions> {
    let options = VolumeOptions {
        no_copy: volume.volume.nocopy,
        labels: Some(volume.volume.labels.clone()).filter(|labels| !labels.is_empty()),
        subpath: volume.volume.subpath.clone(),
        driver_config: None,
    };
    Some(options).filter(|options| *options != VolumeOptions::default())
}

fn inherited(old: &MountPoint) -> Mount {
    Mount {
        kind: "volume".to_owned(),
        source: old.name.clone(),
        target: old.destination.clone(),
        read_only: !old.rw,
        ..Mount::default()
    }
}

/// `/run`, `/run:size=64m`
pub(super) fn tmpfs(service: &Service) -> Option<BTreeMap<String, String>> {
    let one = |text: &String| match text.split_once(':') {
        Some((target, options)) => (target.to_owned(), options.to_owned()),
        None => (text.clone(), String::new()),
    };
    (!service.tmpfs.is_empty()).then(|| service.tmpfs.iter().map(one).collect())
}

/// `container:name:ro`, or each container of a service.
pub(super) fn volumes_from(
    service: &Service,
    making: &Making,
) -> Result<Option<Vec<String>>, Error> {
    let mut all = Vec::new();
    for from in &service.volumes_from {
        if let Some(container) = from.strip_prefix("container:") {
            all.push(container.to_owned());
            continue;
        }
        let (other, access) = match from.split_once(':') {
            Some((other, access)) => (other, format!(":{access}")),
            None => (from.as_str(), String::new()),
        };
        let known = making.known.get(other).and_then(|known| known.first());
        let Some(first) = known else {
            let message =
                format!("service \"{other}\" has no container whose volumes could be taken");
            let hint = format!("start {other} too, or leave --no-deps away");
            return Err(wrong(service, "volumes_from", message).hint(hint).into());
        };
        all.push(format!("{}{access}", first.id));
    }
    Ok(Some(all).filter(|all| !all.is_empty()))
}
