//! dockerd's volumes: files in `volumes/NAME/_data`, the rest in `volumes/metadata.db` and `volumes/NAME/opts.json`.

use std::collections::BTreeMap;
use std::path::Path;

use onggi_model::units::human_size;
use onggi_model::volume_spec::is_volume_name;
use onggi_volume::{DRIVER, Maker, NewVolume, Volumes};
use serde::Deserialize;

use super::root::{DataRoot, limited, names};
use super::{Had, bolt, cannot};
use crate::error::{Error, Result};

/// A volume that is there.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Found {
    pub(super) name: String,
    driver: String,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
}

/// All volumes: those on record, and those that only have a directory.
pub(super) fn find(root: &DataRoot) -> Result<Vec<Found>> {
    let folder = root.path.join("volumes");
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for name in names(&folder)? {
        if folder.join(&name).join("_data").is_dir() {
            let volume = Found {
                name: name.clone(),
                ..Found::default()
            };
            found.insert(name, volume);
        }
    }
    let database = folder.join("metadata.db");
    if database.exists() {
        let broken = |why: &dyn std::fmt::Display| cannot(format!("{}: {why}", database.display()));
        let bytes = limited(&database, bolt::LIMIT)?;
        for (_, value) in bolt::bucket(&bytes, "volumes").map_err(|why| broken(&why))? {
            let volume: Found = serde_json::from_slice(&value).map_err(|error| broken(&error))?;
            let local = matches!(volume.driver.as_str(), "" | DRIVER);
            // What is on record alone was being removed, or is with another driver.
            if !local || found.contains_key(&volume.name) {
                found.insert(volume.name.clone(), volume);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Takes one volume.
pub(super) fn adopt(volumes: &Volumes, root: &DataRoot, found: &Found) -> Result<Had> {
    if !matches!(found.driver.as_str(), "" | DRIVER) {
        return Err(cannot(format!(
            "it is with the volume driver {:?}, of which nothing is on this disk",
            found.driver
        )));
    }
    if !is_volume_name(&found.name) {
        return Err(cannot("that is no name of a volume"));
    }
    let new = NewVolume {
        name: found.name.clone(),
        driver: DRIVER.to_owned(),
        labels: found.labels.clone().unwrap_or_default(),
        options: found.options.clone().unwrap_or_default(),
    };
    let created = volumes.create(&new, Maker::User)?;
    let mounted = !created.volume.options.is_empty();
    let here = volumes.path(&found.name);
    if !created.is_new && (mounted || !is_empty(&here)?) {
        return Ok(Had::present("it stays as it is"));
    }
    if mounted {
        return Ok(Had::taken("by its options; its files are elsewhere"));
    }
    let data = root.path.join("volumes").join(&found.name).join("_data");
    let filled = volumes.fill(&found.name, "", |into| {
        onggi_snapshot::copy_tree(&data, into)?;
        Ok::<_, Error>(true)
    });
    if let Err(fault) = filled {
        if created.is_new {
            // Empty, it would look as if it had been taken.
            volumes.remove(&found.name)?;
        }
        return Err(fault);
    }
    if !created.is_new && is_empty(&data)? {
        return Ok(Had::present("it is empty"));
    }
    let size = volumes.usage(&found.name)?;
    Ok(Had::taken(human_size(size as f64)))
}

fn is_empty(folder: &Path) -> Result<bool> {
    let mut entries =
        std::fs::read_dir(folder).map_err(|error| Error::io(folder.display(), error))?;
    Ok(entries.next().is_none())
}
