//! The project as its files say: which services, what becomes of containers that none of them has, and each service in
//! turn (`converge`).

mod anew; // one container in the place of another
mod converge; // one service
mod left; // what interrupted updates leave

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::{Act, Awaited, Facts, Plan, Target, images, needed, wanted};
use crate::command::Up;
use crate::error::{Error, Problem};
use crate::observe::Container;
use crate::service::{Application, Condition, Service};

/// What `up` and `create` do.
///
/// # Errors
/// A service that is not there, services that wait in a circle, what is external and missing, images that may be neither
/// pulled nor built, and ports that cannot be moved where `start-first` wants them moved.
pub fn up(application: &Application, facts: &Facts, options: &Up) -> Result<Plan, Error> {
    let graph = Graph::of(application);
    let mut selected = selection(application, &graph, options)?;
    let mut plan = Plan {
        project: application.name.clone(),
        ..Plan::default()
    };
    orphans(application, facts, options, &mut plan);
    let networks = wanted::networks(application, &selected, facts, &mut plan.warnings)?;
    // Whoever is in a network that is made anew is made anew, too.
    let anew: BTreeSet<&String> = networks
        .iter()
        .filter(|(_, (_, there))| *there)
        .map(|(key, _)| key)
        .collect();
    for (name, service) in &application.services {
        let has = facts.observed.of(name).next().is_some();
        if has
            && service.network_mode.is_empty()
            && service.networks.keys().any(|key| anew.contains(key))
        {
            selected.insert(name.clone());
        }
    }
    let order = graph.order(&selected)?;
    let images = images::add(application, &selected, facts, options, &mut plan)?;
    let volumes = wanted::volumes(application, &selected, facts, &mut plan)?;
    let mut making = Making {
        application,
        facts,
        options,
        graph: &graph,
        selected: &selected,
        plan,
        images,
        volumes,
        networks: BTreeMap::new(),
        gone: BTreeMap::new(),
        stopped: BTreeMap::new(),
        ready: BTreeMap::new(),
        started: BTreeMap::new(),
        awaited: BTreeMap::new(),
        targets: BTreeMap::new(),
        remade: BTreeSet::new(),
    };
    making.networks(&networks);
    for name in &order {
        match application.services.get(name) {
            Some(service) if options.prepare.as_ref() == Some(name) => making.prepare(service)?,
            Some(service) => making.service(service)?,
            None => (),
        }
    }
    if options.wait && !options.no_start {
        for name in order
            .iter()
            .filter(|name| options.prepare.as_ref() != Some(name))
        {
            let act = Act::Await {
                service: name.clone(),
                targets: making.targets.get(name).cloned().unwrap_or_default(),
                condition: Awaited::Ready,
                limit: options.wait_timeout,
            };
            let after = needed(making.started.get(name).into_iter().flatten().copied());
            making.plan.push(act, "it was asked for", after);
        }
    }
    Ok(making.plan)
}

/// The services that are meant: those that are named and what they need, else all.
fn selection(
    application: &Application,
    graph: &Graph,
    options: &Up,
) -> Result<BTreeSet<String>, Error> {
    let scaled = options.scale.keys();
    for name in options.services.iter().chain(scaled) {
        if !application.services.contains_key(name) {
            return Err(no_such_service(application, name));
        }
    }
    Ok(match (options.services.is_empty(), options.no_deps) {
        (true, _) => application.services.keys().cloned().collect(),
        (false, true) => options.services.iter().cloned().collect(),
        (false, false) => graph.closure(&options.services),
    })
}

/// A service that is not there.
pub(super) fn no_such_service(application: &Application, name: &str) -> Error {
    let problem = Problem::general(format!("no such service: {name}"));
    match application.disabled.get(name) {
        Some(service) => {
            let profiles = service.profiles.join(", ");
            problem
                .hint(format!("it is in profile {profiles}: use --profile"))
                .into()
        }
        None => problem.into(),
    }
}

/// Containers of services that the project does not have.
fn orphans(application: &Application, facts: &Facts, options: &Up, plan: &mut Plan) {
    let known = |name: &str| {
        application.services.contains_key(name) || application.disabled.contains_key(name)
    };
    let containers = facts.observed.containers.iter();
    let orphans: Vec<&Container> = containers
        .filter(|one| !one.oneoff && !known(&one.service))
        .collect();
    if orphans.is_empty() {
        return;
    }
    if options.remove_orphans {
        for orphan in orphans {
            let cause = format!("the project has no service {}", orphan.service);
            away(plan, orphan, options.timeout, false, &cause, &[]);
        }
        return;
    }
    let names: Vec<&str> = orphans.iter().map(|orphan| orphan.name.as_str()).collect();
    plan.warnings.push(format!(
        "Found orphan containers ([{}]) for this project. If you removed or renamed this service in your compose file, you \
         can run this command with the --remove-orphans flag to clean it up.",
        names.join(" ")
    ));
}

/// Adds what stops and removes a container; gives the last operation.
pub(super) fn away(
    plan: &mut Plan,
    container: &Container,
    timeout: Option<i64>,
    volumes: bool,
    cause: &str,
    after: &[usize],
) -> usize {
    let target = target(container);
    let mut after = needed(after.iter().copied());
    if container.state.runs() {
        let stop = Act::Stop {
            target: target.clone(),
            timeout,
        };
        after = needed([plan.push(stop, cause, after)]);
    }
    let remove = Act::Remove {
        target,
        volumes,
        force: true,
    };
    plan.push(remove, cause, after)
}

/// A container that is there.
pub(super) fn target(container: &Container) -> Target {
    Target {
        service: container.service.clone(),
        number: container.number,
        name: container.name.clone(),
        id: Some(container.id.clone()),
    }
}

/// A plan while it is made.
struct Making<'a> {
    application: &'a Application,
    facts: &'a Facts,
    options: &'a Up,
    graph: &'a Graph,
    selected: &'a BTreeSet<String>,
    plan: Plan,
    /// What makes an image, by its name.
    images: BTreeMap<String, usize>,
    /// What makes a volume, by its key.
    volumes: BTreeMap<String, usize>,
    /// What makes a network, by its key.
    networks: BTreeMap<String, usize>,
    /// What removed a container, by its id, and why.
    gone: BTreeMap<String, (usize, String)>,
    /// What stopped a container, by its id, and why.
    stopped: BTreeMap<String, (usize, String)>,
    /// What makes the containers of a service.
    ready: BTreeMap<String, Vec<usize>>,
    /// What starts the containers of a service.
    started: BTreeMap<String, Vec<usize>>,
    /// What waits for a service.
    awaited: BTreeMap<(String, &'static str), usize>,
    /// The containers that a service will have.
    targets: BTreeMap<String, Vec<Target>>,
    /// Services whose containers become others.
    remade: BTreeSet<String>,
}

impl Making<'_> {
    /// Networks that are missing, and those that are made anew: nobody may be in them then.
    fn networks(&mut self, networks: &BTreeMap<String, (String, bool)>) {
        for (key, (cause, there)) in networks {
            let Some(wanted) = self.application.networks.get(key) else {
                continue;
            };
            let name = wanted.name.clone();
            let mut after = Vec::new();
            if let Some(found) = self.facts.networks.get(&name).filter(|_| *there) {
                let why = format!("network {name} is made anew");
                let containers = self.facts.observed.containers.iter();
                let inside = containers
                    .filter(|one| one.summary.network_settings.networks.contains_key(&name));
                for container in
                    inside.filter(|one| self.application.services.contains_key(&one.service))
                {
                    let removed = match self.gone.get(&container.id) {
                        Some((removed, _)) => *removed,
                        None => away(
                            &mut self.plan,
                            container,
                            self.options.timeout,
                            false,
                            &why,
                            &[],
                        ),
                    };
                    self.gone
                        .insert(container.id.clone(), (removed, why.clone()));
                    after.push(removed);
                }
                let act = Act::RemoveNetwork {
                    name: name.clone(),
                    id: found.id.clone(),
                };
                after = vec![self.plan.push(act, cause.clone(), needed(after))];
            }
            let act = Act::CreateNetwork {
                key: key.clone(),
                name,
            };
            let made = self.plan.push(act, cause.clone(), needed(after));
            self.networks.insert(key.clone(), made);
        }
    }

    /// The operation that waits until a service is what others need.
    fn awaited(&mut self, service: &str, condition: Condition) -> usize {
        let key = (service.to_owned(), condition.as_str());
        if let Some(operation) = self.awaited.get(&key) {
            return *operation;
        }
        let act = Act::Await {
            service: service.to_owned(),
            targets: self.targets.get(service).cloned().unwrap_or_default(),
            condition: Awaited::Condition(condition),
            limit: None,
        };
        let after = needed(self.started.get(service).into_iter().flatten().copied());
        let operation = self.plan.push(act, "others need it", after);
        self.awaited.insert(key, operation);
        operation
    }

    /// How many containers a service has.
    fn scale(&self, service: &Service) -> u32 {
        let asked = self.options.scale.get(&service.name).copied();
        asked.unwrap_or_else(|| service.replicas())
    }
}
