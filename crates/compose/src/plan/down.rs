//! Everything goes: containers, each before what it waits for, then networks, and what else was asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::up::{away, no_such_service};
use super::{Act, Facts, Plan, needed};
use crate::command::{Down, Rmi};
use crate::error::Error;
use crate::labels;
use crate::service::Application;

/// What `down` does. Without files the project is what the labels say; what is external stays.
///
/// # Errors
/// A service that is not there, services that wait in a circle.
pub fn down(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    options: &Down,
) -> Result<Plan, Error> {
    let mut plan = Plan {
        project: project.to_owned(),
        ..Plan::default()
    };
    if let Some(application) = application {
        let missing = options.services.iter().find(|name| {
            !application.services.contains_key(*name) && !application.disabled.contains_key(*name)
        });
        if let Some(name) = missing {
            return Err(no_such_service(application, name));
        }
    }
    let graph = application
        .map(Graph::of)
        .unwrap_or_default()
        .with_labels(&facts.observed);
    let known = |name: &str| {
        application.is_none_or(|application| {
            application.services.contains_key(name) || application.disabled.contains_key(name)
        })
    };
    let named =
        |name: &str| options.services.is_empty() || options.services.iter().any(|one| one == name);
    let present: BTreeSet<String> = facts
        .observed
        .services()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut removed: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut all: Vec<usize> = Vec::new();
    for service in graph.order(&present)?.into_iter().rev() {
        let orphan = !known(&service);
        if (orphan && !options.remove_orphans) || !(named(&service) || orphan) {
            continue;
        }
        let cause = if orphan {
            format!("the project has no service {service}")
        } else {
            "down".to_owned()
        };
        let dependents = graph
            .dependents(&service)
            .flat_map(|(name, _)| removed.get(name).into_iter().flatten());
        let after: Vec<usize> = dependents.copied().collect();
        let containers = facts
            .observed
            .containers
            .iter()
            .filter(|one| one.service == service);
        for container in containers {
            let operation = away(
                &mut plan,
                container,
                options.timeout,
                options.volumes,
                &cause,
                &after,
            );
            removed.entry(service.clone()).or_default().push(operation);
            all.push(operation);
        }
    }
    // What is left to the other services stays with them.
    if !options.services.is_empty() {
        return Ok(plan);
    }
    for network in &facts.observed.networks {
        let network = &network.network;
        let external = application.is_some_and(|application| {
            application
                .networks
                .values()
                .any(|one| one.external && one.name == network.name)
        });
        if !external {
            let act = Act::RemoveNetwork {
                name: network.name.clone(),
                id: network.id.clone(),
            };
            plan.push(act, "down", needed(all.iter().copied()));
        }
    }
    if options.volumes {
        for volume in &facts.observed.volumes {
            let marked = volume
                .labels
                .as_ref()
                .is_some_and(|labels| labels.contains_key(labels::VOLUME));
            let external = application.is_some_and(|application| {
                application
                    .volumes
                    .values()
                    .any(|one| one.external && one.name == volume.name)
            });
            if marked && !external {
                let act = Act::RemoveVolume {
                    name: volume.name.clone(),
                };
                plan.push(act, "--volumes", needed(all.iter().copied()));
            }
        }
    }
    for name in images(project, application, facts, options.images) {
        plan.push(
            Act::RemoveImage { name },
            "--rmi",
            needed(all.iter().copied()),
        );
    }
    Ok(plan)
}

/// The images that go: all, or those whose name the project made.
fn images(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    which: Rmi,
) -> BTreeSet<String> {
    if which == Rmi::None {
        return BTreeSet::new();
    }
    let Some(application) = application else {
        let containers = facts.observed.containers.iter();
        let local = |name: &str, service: &str| name == format!("{project}-{service}");
        let images = containers.filter(|one| which == Rmi::All || local(&one.image, &one.service));
        return images.map(|one| one.image.clone()).collect();
    };
    let services = application.services.values();
    let services = services.filter(|service| which == Rmi::All || service.image.is_empty());
    services
        .map(|service| service.image_name(project))
        .collect()
}
