//! What an engine has of a project, found by its labels alone: whichever program made it and whatever it is called.

mod container; // one container
mod projects; // every project of an engine

use onggi_api::{network, volume};
use onggi_client::container::List;
use onggi_client::{Client, Error};
use onggi_model::Filters;

pub use container::{Container, Health, State};
pub use projects::{ProjectSummary, projects};

use crate::labels;

/// What an engine has of a project.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Its containers, also those that do not run and those of `run`, by service and number.
    pub containers: Vec<Container>,
    /// Its networks.
    pub networks: Vec<network::Summary>,
    /// Its volumes.
    pub volumes: Vec<volume::Volume>,
}

impl Observed {
    /// The containers of a service that are not of `run`.
    pub fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Container> {
        self.containers
            .iter()
            .filter(move |container| !container.oneoff && container.service == service)
    }

    /// The services that have containers, each once, sorted.
    pub fn services(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .containers
            .iter()
            .map(|container| container.service.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What an engine has of a project: three requests, side by side.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn observe(client: &Client, project: &str) -> Result<Observed, Error> {
    let filters = of_project(project);
    let (containers, networks, volumes) = futures_util::try_join!(
        containers(client, project),
        client.network_list(&filters),
        client.volume_list(&filters),
    )?;
    Ok(Observed {
        containers,
        networks,
        volumes: volumes.volumes,
    })
}

/// The containers of a project alone: one request.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn containers(client: &Client, project: &str) -> Result<Vec<Container>, Error> {
    let list = List {
        all: true,
        filters: of_project(project),
        ..List::default()
    };
    let found = client.container_list(&list).await?;
    let mut containers: Vec<Container> = found.into_iter().map(Container::of).collect();
    containers.sort_by(|left, right| {
        let key = |one: &Container| (one.service.clone(), one.oneoff, one.number);
        key(left)
            .cmp(&key(right))
            .then_with(|| left.name.cmp(&right.name))
    });
    Ok(containers)
}

/// Everything that has the project's label.
fn of_project(project: &str) -> Filters {
    let mut filters = Filters::default();
    filters.add("label", format!("{}={project}", labels::PROJECT));
    filters
}
