//! All mounts of a new container: its own, over those of `--volumes-from`, over the `VOLUME`s of its image.

use onggi_api::container::{Config, HostConfig};
use onggi_model::volume_spec;

use super::read::{self, Context};
use super::{Origin, VolumeMount, Wanted, What};
use crate::Engine;
use crate::error::{Error, Result};

/// The mounts, volumes still without names where nobody named them. `config` has the image's `VOLUME`s already.
pub(crate) fn resolve(engine: &Engine, config: &Config, host: &HostConfig) -> Result<Vec<Wanted>> {
    let image = |name: &str| match engine.inner.images.get(name) {
        Ok(image) => Ok(image.id().clone()),
        Err(fault) => Err(Error::of(&fault)),
    };
    let context = Context {
        data_root: &engine.inner.config.data_root,
        image: &image,
    };
    let own = read::read(host, &context)?;
    let mut all = Vec::new();
    for spec in host.volumes_from.iter().flatten() {
        let (id, writable) = read::volumes_from(spec)?;
        // Not 404: to clients that would be the image.
        let other = engine.inner.containers.find(id);
        let other = other
            .map_err(|fault| Error::invalid(fault.to_string()))?
            .record();
        for wanted in other.wanted.iter().filter_map(|w| inherit(w, writable)) {
            put(&mut all, wanted);
        }
    }
    for wanted in own {
        put(&mut all, wanted);
    }
    for (path, _) in config.volumes.iter().flatten() {
        let wanted = declared(path, &host.volume_driver)?;
        if !all.iter().any(|other| other.target == wanted.target) {
            all.push(wanted);
        }
    }
    Ok(all)
}

/// The later one wins.
fn put(all: &mut Vec<Wanted>, wanted: Wanted) {
    all.retain(|other| other.target != wanted.target);
    all.push(wanted);
}

/// What another container has, for this one: files and volumes, never filled again; a tmpfs of its own.
fn inherit(wanted: &Wanted, writable: bool) -> Option<Wanted> {
    let mut wanted = wanted.clone();
    match &mut wanted.what {
        What::Volume(volume) => volume.origin = Origin::Inherited,
        // `--tmpfs` is a matter of the other's.
        What::Tmpfs { listed: false, .. } | What::Step(_) => return None,
        What::Bind(_) | What::Tmpfs { .. } | What::Image(_) => {}
    }
    wanted.readonly |= !writable;
    wanted.mode.clear();
    Some(wanted)
}

/// A `VOLUME` of the image, or `-v /path`.
fn declared(path: &str, driver: &str) -> Result<Wanted> {
    if !path.starts_with('/') {
        return Err(Error::invalid(format!(
            "invalid volume specification: '{path}': invalid mount config for type \"volume\": \
             invalid mount path: '{path}' mount path must be absolute"
        )));
    }
    let target = volume_spec::clean_path(path);
    if target == "/" {
        return Err(Error::invalid(format!(
            "invalid volume specification: '{path}': invalid mount config for type \"volume\": \
             invalid specification: destination can't be '/'"
        )));
    }
    Ok(Wanted {
        target,
        what: What::Volume(VolumeMount {
            anonymous: true,
            driver: driver.to_owned(),
            origin: Origin::Declared,
            ..VolumeMount::default()
        }),
        readonly: false,
        mode: String::new(),
    })
}
