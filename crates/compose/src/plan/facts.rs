//! What a plan is made from, beside the project: what the engine has.

use std::collections::BTreeMap;
use std::time::Duration;

use onggi_api::{image, network, volume};

use crate::observe::Observed;

/// An image, as far as plans need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageFacts {
    /// Its id.
    pub id: String,
    /// What it says of its containers.
    pub config: image::Config,
    /// The digests of its layers.
    pub layers: Vec<String>,
    /// How long ago it got its name here, which is when it was pulled; nothing where the engine does not say.
    pub age: Option<Duration>,
}

impl ImageFacts {
    /// Would containers of both be the same? What Compose notes on the images it builds does not count.
    pub fn is_like(&self, other: &Self) -> bool {
        let said = |config: &image::Config| {
            let mut config = config.clone();
            let labels = config.labels.get_or_insert_default();
            labels.retain(|name, _| !name.starts_with("com.docker.compose."));
            config
        };
        let is_known = !self.layers.is_empty();
        self.id == other.id
            || (is_known
                && self.layers == other.layers
                && said(&self.config) == said(&other.config))
    }

    /// The volumes it declares.
    pub fn volumes(&self) -> Vec<String> {
        let volumes = self.config.volumes.iter().flat_map(|map| map.keys());
        volumes.cloned().collect()
    }
}

/// What the engine has.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What it has of the project.
    pub observed: Observed,
    /// Networks by the names the project uses, also those that are not the project's.
    pub networks: BTreeMap<String, network::Network>,
    /// Volumes by the names the project uses, also those that are not the project's.
    pub volumes: BTreeMap<String, volume::Volume>,
    /// The images that are there, by the names the project uses.
    pub images: BTreeMap<String, ImageFacts>,
    /// How containers that other programs made differ from what the project says, by id; empty where they do not.
    pub differences: BTreeMap<String, Vec<String>>,
    /// Can published ports be moved from one container to another?
    pub moves_ports: bool,
}
