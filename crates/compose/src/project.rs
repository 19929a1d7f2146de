//! A project that is ready: what the rest of Compose works with.

use std::path::PathBuf;

use crate::environment::{Environment, Use};
use crate::node::{Map, Node, Place};

/// A project, loaded.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub directory: PathBuf,
    /// The files it was made of.
    pub files: Vec<PathBuf>,
    /// What they say together: `name`, `services`, `networks`, `volumes`, `configs`, `secrets`, `models` and extensions,
    /// each in its long form.
    pub document: Node,
    /// The services that no active profile wants.
    pub disabled: Map,
    /// Every profile that some service names, sorted.
    pub profiles: Vec<String>,
    /// The profiles it was loaded with.
    pub active: Vec<String>,
    /// The variables it was made with.
    pub environment: Environment,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Which variables were used where.
    pub uses: Vec<Use>,
    /// What files say of the variables of services; of two that speak of the same one the later wins.
    pub said: Vec<Said>,
}

/// What a file says of a variable of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The service.
    pub service: String,
    /// The variable.
    pub name: String,
    /// Its value; none when it is taken from the environment of Compose.
    pub value: Option<String>,
    /// Where it is said.
    pub place: Place,
}

impl Project {
    /// The services by name.
    pub fn services(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.document.entries("services")
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Node> {
        self.document.at(&["services", name])
    }
}
