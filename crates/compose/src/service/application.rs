//! The project, read from its document.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Content, Network, Service, Texts, Volume};
use crate::config::json_of;
use crate::error::{Error, Problem};
use crate::node::Node;
use crate::project::Project;

/// A project with types.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub directory: PathBuf,
    /// The files it was made of.
    pub files: Vec<PathBuf>,
    /// Its services.
    pub services: BTreeMap<String, Service>,
    /// Services that no active profile wants.
    pub disabled: BTreeMap<String, Service>,
    /// Its networks.
    pub networks: BTreeMap<String, Network>,
    /// Its volumes.
    pub volumes: BTreeMap<String, Volume>,
    /// Its configs.
    pub configs: BTreeMap<String, Content>,
    /// Its secrets.
    pub secrets: BTreeMap<String, Content>,
    /// The variables it was made with that its configs and secrets take their content from.
    pub variables: Texts,
    /// The files of variables that were asked for.
    pub env_files: Vec<PathBuf>,
    /// For each service the hash of what its containers are made of.
    pub hashes: Texts,
}

impl Application {
    /// The project with types.
    ///
    /// # Errors
    /// What cannot be read: a project that was loaded without its steps.
    pub fn of(project: &Project) -> Result<Self, Error> {
        let document = &project.document;
        let mut services: BTreeMap<String, Service> = section(document, "services")?;
        for (name, service) in &mut services {
            service.name.clone_from(name);
        }
        let mut disabled = BTreeMap::new();
        for (name, node) in project.disabled.iter() {
            let mut service: Service = read(&format!("services.{name}"), node)?;
            name.clone_into(&mut service.name);
            disabled.insert(name.to_owned(), service);
        }
        let configs: BTreeMap<String, Content> = section(document, "configs")?;
        let secrets: BTreeMap<String, Content> = section(document, "secrets")?;
        let named = configs.values().chain(secrets.values());
        let variables = named.filter_map(|content| {
            let name = content.environment.as_deref()?;
            let value = project.environment.get(name)?;
            Some((name.to_owned(), value.to_owned()))
        });
        Ok(Self {
            name: project.name.clone(),
            directory: project.directory.clone(),
            files: project.files.clone(),
            networks: section(document, "networks")?,
            volumes: section(document, "volumes")?,
            variables: variables.collect(),
            hashes: crate::config::hashes(project),
            env_files: Vec::new(),
            services,
            disabled,
            configs,
            secrets,
        })
    }
}

fn section<T: for<'de> Deserialize<'de>>(
    document: &Node,
    key: &str,
) -> Result<BTreeMap<String, T>, Error> {
    document
        .entries(key)
        .filter(|(name, _)| !name.starts_with("x-"))
        .map(|(name, node)| Ok((name.to_owned(), read(&format!("{key}.{name}"), node)?)))
        .collect()
}

fn read<T: for<'de> Deserialize<'de>>(path: &str, node: &Node) -> Result<T, Error> {
    let json = without_nulls(json_of(node));
    serde_json::from_value(json)
        .map_err(|error| Problem::new(&node.place, path, error.to_string()).into())
}

/// Maps whose parts may be `null` and mean something by it: a variable without a value, a network without keys.
const NULLS: [&str; 5] = ["environment", "networks", "args", "ssh", "options"];

/// What is `null` was not said.
fn without_nulls(mut json: serde_json::Value) -> serde_json::Value {
    if let Some(map) = json.as_object_mut() {
        map.retain(|_, value| !value.is_null());
        for (key, value) in map.iter_mut() {
            match value
                .as_object_mut()
                .filter(|_| NULLS.contains(&key.as_str()))
            {
                Some(inner) => inner
                    .values_mut()
                    .for_each(|one| *one = without_nulls(one.take())),
                None => *value = without_nulls(value.take()),
            }
        }
    } else if let Some(items) = json.as_array_mut() {
        items
            .iter_mut()
            .for_each(|one| *one = without_nulls(one.take()));
    }
    json
}
