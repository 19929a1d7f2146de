//! What the catalogue keeps of a volume. Who uses it is not kept: the containers' records say it.

use std::collections::BTreeMap;

use onggi_model::Timestamp;
use onggi_model::volume_spec::{bad_name, is_volume_name};
use onggi_store::Record;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, local};

/// The one driver.
pub const DRIVER: &str = "local";
/// The label of volumes that got their name from us.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// A volume. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// What it is called.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// The user's words about it.
    pub labels: BTreeMap<String, String>,
    /// What the driver was told: nothing, or what to mount.
    pub options: BTreeMap<String, String>,
}

impl Volume {
    /// Whether it got its name from us.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS_LABEL)
    }
}

impl Record for Volume {
    const TABLE: &'static str = "volumes";
}

/// A volume made for a container that is not on record yet: without that container it never was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) container: String,
}

impl Record for Pending {
    const TABLE: &'static str = "volumes/pending";
}

/// A volume on its way to another name: until that is done it has not happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Moving {
    pub(crate) to: String,
}

impl Record for Moving {
    const TABLE: &'static str = "volumes/moving";
}

/// A volume to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name; one of ours when empty.
    pub name: String,
    /// Its driver; `local` when empty.
    pub driver: String,
    /// The user's words about it.
    pub labels: BTreeMap<String, String>,
    /// What the driver is told.
    pub options: BTreeMap<String, String>,
}

impl NewVolume {
    /// One with a name and nothing else.
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// The volume, checked.
    pub(crate) fn check(&self) -> Result<Volume> {
        let mut labels = self.labels.clone();
        let name = match self.name.as_str() {
            "" => {
                labels.insert(ANONYMOUS_LABEL.to_owned(), String::new());
                let id = onggi_model::ContainerId::random();
                id.map_err(Error::file("read", "/dev/urandom"))?.to_string()
            }
            name if !is_volume_name(name) => return Err(bad_name(name).into()),
            name => name.to_owned(),
        };
        if !matches!(self.driver.as_str(), "" | DRIVER) {
            let driver = self.driver.clone();
            return Err(Error::Driver { name, driver });
        }
        local::check(&name, &self.options)?;
        Ok(Volume {
            name,
            created: Timestamp::now(),
            labels,
            options: self.options.clone(),
        })
    }
}
