//! What must be pulled or built before containers can be made.

use std::collections::{BTreeMap, BTreeSet};

use super::{Act, Facts, Plan, needed, refresh};
use crate::command::{Pull, PullImages, Up};
use crate::error::{Error, Problem};
use crate::service::{Application, Service};

/// What becomes of the image of a service, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It is there.
    Nothing,
    /// It is pulled.
    Pull(&'static str),
    /// It is built.
    Build(&'static str),
}

/// What becomes of the image of a service.
///
/// # Errors
/// It is not there, and may be neither pulled nor built.
pub(super) fn wanted(
    application: &Application,
    service: &Service,
    facts: &Facts,
    up: &Up,
) -> Result<Wanted, Error> {
    let name = service.image_name(&application.name);
    let there = facts.images.contains_key(&name);
    let policy = match up.pull {
        Pull::Policy => service.pull_policy.as_str(),
        Pull::Always => "always",
        Pull::Missing => "missing",
        Pull::Never => "never",
        Pull::Build => "build",
    };
    let builds = service.build.is_some();
    if builds && up.build && !up.no_build {
        return Ok(Wanted::Build("it was asked for"));
    }
    let missing = "it is missing";
    if let Some(period) = refresh::period(service, policy)?
        && !(builds && service.image.is_empty())
    {
        let age = facts.images.get(&name).map(|image| image.age);
        match age {
            // Whoever does not know how old it is finds out.
            Some(age) if age.is_none_or(|age| age >= period) => {
                return Ok(Wanted::Pull("it is old"));
            }
            _ => (),
        }
    }
    Ok(match (policy, there, builds) {
        ("build", _, true) if !up.no_build => Wanted::Build("its policy is build"),
        ("always" | "newest", _, false) => Wanted::Pull("its policy is always"),
        ("always", true, true) if !service.image.is_empty() && up.no_build => {
            Wanted::Pull("its policy is always")
        }
        (_, true, _) => Wanted::Nothing,
        ("never", false, false) | (_, false, true) if policy == "never" || up.no_build => {
            let message = match up.no_build && builds {
                true => format!("image {name} of service \"{}\" is not built", service.name),
                false => format!("No such image: {name}"),
            };
            let hint = match builds {
                true => "leave --no-build away, or build it first",
                false => "pull it first, or choose another pull policy",
            };
            return Err(Problem::general(message).hint(hint).into());
        }
        (_, false, true) => Wanted::Build(missing),
        (_, false, false) => Wanted::Pull(missing),
    })
}

/// Adds what gets the images of these services; gives the operation of each image by its name.
///
/// # Errors
/// An image that is not there, and may be neither pulled nor built.
pub(super) fn add(
    application: &Application,
    services: &BTreeSet<String>,
    facts: &Facts,
    up: &Up,
    plan: &mut Plan,
) -> Result<BTreeMap<String, usize>, Error> {
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    let all = services
        .iter()
        .filter_map(|name| application.services.get(name));
    // A service that builds an image goes before those that only name it.
    let (mut building, others): (Vec<&Service>, Vec<&Service>) =
        all.partition(|service| service.build.is_some());
    // An image that another is built from goes before that.
    building.sort_by_key(|service| depth(application, service, services.len()));
    for service in building.into_iter().chain(others) {
        let image = service.image_name(&application.name);
        if made.contains_key(&image) {
            continue;
        }
        let (act, cause) = match wanted(application, service, facts, up)? {
            Wanted::Nothing => continue,
            Wanted::Pull(cause) => {
                let act = Act::Pull {
                    service: service.name.clone(),
                    image: image.clone(),
                    platform: service.platform.clone(),
                    optional: false,
                };
                (act, cause)
            }
            Wanted::Build(cause) => {
                let act = Act::Build {
                    service: service.name.clone(),
                    image: image.clone(),
                };
                (act, cause)
            }
        };
        let after = contexts(application, service)
            .filter_map(|other| made.get(&other.image_name(&application.name)));
        let after = needed(after.copied());
        made.insert(image, plan.push(act, cause, after));
    }
    Ok(made)
}

/// The services whose images a service's is built from.
fn contexts<'a>(
    application: &'a Application,
    service: &'a Service,
) -> impl Iterator<Item = &'a Service> {
    let contexts = service
        .build
        .iter()
        .flat_map(|build| build.additional_contexts.values());
    let others = contexts.filter_map(|context| context.strip_prefix("service:"));
    others.filter_map(|name| application.services.get(name))
}

/// How many images must be built one after the other before it; of a circle, no more than there are.
fn depth(application: &Application, service: &Service, limit: usize) -> usize {
    if limit == 0 {
        return 0;
    }
    let depths =
        contexts(application, service).map(|other| depth(application, other, limit - 1) + 1);
    depths.max().unwrap_or(0)
}

/// What gets the images of these services alone, before anything else is decided: what is pulled or built may be another
/// image than containers have now.
///
/// # Errors
/// An image that is not there, and may be neither pulled nor built.
pub fn images(
    application: &Application,
    services: &BTreeSet<String>,
    facts: &Facts,
    up: &Up,
) -> Result<Plan, Error> {
    let mut plan = Plan {
        project: application.name.clone(),
        ..Plan::default()
    };
    add(application, services, facts, up, &mut plan)?;
    Ok(plan)
}

/// The services that are named, and what they need where that is wanted; all where none is named.
///
/// # Errors
/// A service that is not there.
pub fn named(
    application: &Application,
    services: &[String],
    with_dependencies: bool,
) -> Result<BTreeSet<String>, Error> {
    for name in services {
        if !application.services.contains_key(name) {
            return Err(super::up::no_such_service(application, name));
        }
    }
    Ok(match (services.is_empty(), with_dependencies) {
        (true, _) => application.services.keys().cloned().collect(),
        (false, true) => closure(application, services),
        (false, false) => services.iter().cloned().collect(),
    })
}

/// These services and all they wait for.
pub fn closure(application: &Application, services: &[String]) -> BTreeSet<String> {
    super::graph::Graph::of(application).closure(services)
}

/// What `pull` does: each image once.
pub fn pull(
    application: &Application,
    services: &BTreeSet<String>,
    facts: &Facts,
    options: &PullImages,
) -> Plan {
    let mut plan = Plan {
        project: application.name.clone(),
        ..Plan::default()
    };
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for service in services
        .iter()
        .filter_map(|name| application.services.get(name))
    {
        let image = service.image_name(&application.name);
        let there = facts.images.contains_key(&image);
        let policy = match options.policy {
            Pull::Policy => service.pull_policy.as_str(),
            Pull::Missing => "missing",
            _ => "always",
        };
        let cause = match policy {
            "never" | "build" => continue,
            "missing" if there => continue,
            "missing" => "it is missing",
            _ => "pull",
        };
        let builds = service.build.is_some();
        let nameless = service.image.is_empty();
        if nameless || (builds && options.ignore_buildable) || !seen.insert(image.clone()) {
            continue;
        }
        let act = Act::Pull {
            service: service.name.clone(),
            image,
            platform: service.platform.clone(),
            // What cannot be pulled can still be built.
            optional: options.ignore_failures || builds,
        };
        plan.push(act, cause, Vec::new());
    }
    plan
}
