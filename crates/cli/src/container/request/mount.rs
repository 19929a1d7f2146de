//! `--mount`: `type=bind,source=/a,target=/b,readonly` and all its fields.

use std::collections::BTreeMap;

use onggi_api::container::{BindOptions, Driver, ImageOptions, Mount, TmpfsOptions, VolumeOptions};

use crate::args::Matches;
use crate::error::{Error, Result};

/// Is this a value of `--mount`?
pub(crate) fn check(spec: &str) -> std::result::Result<(), String> {
    parse(spec).map(drop)
}

pub(super) fn mounts(matches: &Matches) -> Result<Option<Vec<Mount>>> {
    let mounts = matches
        .all("mount")
        .map(|spec| parse(spec).map_err(Error::new))
        .collect::<Result<Vec<_>>>()?;
    Ok(Some(mounts).filter(|mounts| !mounts.is_empty()))
}

fn parse(spec: &str) -> std::result::Result<Mount, String> {
    let mut mount = Mount {
        kind: "volume".to_owned(),
        ..Mount::default()
    };
    let (mut bind, mut volume, mut image, mut tmpfs) = (None, None, None, None);
    if spec.trim().is_empty() {
        // What Go's reader of comma separated values says.
        return Err("EOF".to_owned());
    }
    for field in onggi_model::csv(spec.trim()) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
            None => (field.to_lowercase(), None),
        };
        let Some(value) = value else {
            match key.as_str() {
                "readonly" | "ro" => mount.read_only = true,
                "volume-nocopy" => volume.get_or_insert_with(VolumeOptions::default).no_copy = true,
                "bind-nonrecursive" => {
                    bind.get_or_insert_with(BindOptions::default).non_recursive = true;
                }
                _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
            }
            continue;
        };
        let boolean = || match crate::args::check::boolean(&value) {
            Ok(()) => Ok(matches!(
                value.as_str(),
                "1" | "t" | "T" | "true" | "TRUE" | "True"
            )),
            Err(_) => Err(format!("invalid value for {key}: {value}")),
        };
        match key.as_str() {
            "type" => mount.kind = value.to_lowercase(),
            "source" | "src" => {
                let dotted = value == "."
                    || value.starts_with("./")
                    || value == ".."
                    || value.starts_with("../");
                mount.source = match std::env::current_dir() {
                    Ok(here) if dotted => onggi_model::volume_spec::clean_path(
                        &here.join(&value).display().to_string(),
                    ),
                    _ => value,
                };
            }
            "target" | "dst" | "destination" => mount.target = value,
            "readonly" | "ro" => mount.read_only = boolean()?,
            "consistency" => mount.consistency = value.to_lowercase(),
            "bind-propagation" => {
                bind.get_or_insert_with(BindOptions::default).propagation = value.to_lowercase();
            }
            "bind-nonrecursive" => {
                bind.get_or_insert_with(BindOptions::default).non_recursive = boolean()?;
            }
            "bind-recursive" => {
                let bind = bind.get_or_insert_with(BindOptions::default);
                match value.as_str() {
                    "enabled" => {}
                    "disabled" => bind.non_recursive = true,
                    "writable" => bind.read_only_non_recursive = true,
                    "readonly" => bind.read_only_force_recursive = true,
                    _ => {
                        return Err(format!(
                            "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                        ));
                    }
                }
            }
            "volume-subpath" => {
                volume.get_or_insert_with(VolumeOptions::default).subpath = value;
            }
            "volume-nocopy" => {
                volume.get_or_insert_with(VolumeOptions::default).no_copy = boolean()?;
            }
            "volume-label" => {
                let labels = &mut volume.get_or_insert_with(VolumeOptions::default).labels;
                insert(labels.get_or_insert_default(), &value);
            }
            "volume-driver" => {
                let volume = volume.get_or_insert_with(VolumeOptions::default);
                volume.driver_config.get_or_insert_default().name = value;
            }
            "volume-opt" => {
                let volume = volume.get_or_insert_with(VolumeOptions::default);
                let driver: &mut Driver = volume.driver_config.get_or_insert_default();
                insert(driver.options.get_or_insert_default(), &value);
            }
            "image-subpath" => {
                image.get_or_insert_with(ImageOptions::default).subpath = value;
            }
            "tmpfs-size" => {
                tmpfs.get_or_insert_with(TmpfsOptions::default).size_bytes =
                    onggi_model::units::ram_in_bytes(&value)
                        .map_err(|_| format!("invalid value for {key}: {value}"))?;
            }
            "tmpfs-mode" => {
                tmpfs.get_or_insert_with(TmpfsOptions::default).mode =
                    u32::from_str_radix(&value, 8)
                        .map_err(|_| format!("invalid value for {key}: {value}"))?;
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if mount.kind.is_empty() {
        return Err("type is required".to_owned());
    }
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    for (given, prefix, kind) in [
        (volume.is_some(), "volume", "volume"),
        (bind.is_some(), "bind", "bind"),
        (tmpfs.is_some(), "tmpfs", "tmpfs"),
        (image.is_some(), "image", "image"),
    ] {
        if given && mount.kind != kind {
            return Err(format!(
                "cannot mix '{prefix}-*' options with mount type '{}'",
                mount.kind
            ));
        }
    }
    if let Some(bind) = &bind {
        if bind.read_only_non_recursive && !mount.read_only {
            return Err("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction".to_owned());
        }
        if bind.read_only_force_recursive {
            if !mount.read_only {
                return Err("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction".to_owned());
            }
            if bind.propagation != "rprivate" {
                return Err("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction".to_owned());
            }
        }
    }
    if let Some(volume) = &mut volume {
        volume.driver_config.get_or_insert_default();
    }
    mount.bind_options = bind;
    mount.volume_options = volume;
    mount.image_options = image;
    mount.tmpfs_options = tmpfs;
    Ok(mount)
}

fn insert(map: &mut BTreeMap<String, String>, pair: &str) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    map.insert(key.to_owned(), value.to_owned());
}
