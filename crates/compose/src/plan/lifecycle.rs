//! What is done to containers that are there: start, stop, restart, kill, rm, pause, unpause. The order is that of the
//! files, or of the labels where there are none.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::up::{no_such_service, target};
use super::{Act, After, Awaited, Facts, Plan, needed};
use crate::command::{Kill, Pause, Remove, Restart, Start, Stop, Unpause};
use crate::error::{Error, Problem};
use crate::observe::{Container, State};
use crate::service::{Application, Condition};

/// The project, and who of it is meant.
struct Scene<'a> {
    facts: &'a Facts,
    graph: Graph,
    services: BTreeSet<String>,
    plan: Plan,
}

impl<'a> Scene<'a> {
    fn of(
        project: &str,
        application: Option<&Application>,
        facts: &'a Facts,
        named: &[String],
    ) -> Result<Self, Error> {
        let graph = application
            .map(Graph::of)
            .unwrap_or_default()
            .with_labels(&facts.observed);
        for name in named {
            let disabled = application.is_some_and(|one| one.disabled.contains_key(name));
            if !graph.edges.contains_key(name) && !disabled {
                return Err(match application {
                    Some(application) => no_such_service(application, name),
                    None => Problem::general(format!("no such service: {name}")).into(),
                });
            }
        }
        let present = facts.observed.services().into_iter().map(str::to_owned);
        let known = |name: &String| {
            application.is_none_or(|one| {
                one.services.contains_key(name) || one.disabled.contains_key(name)
            })
        };
        let services = match named.is_empty() {
            true => present.filter(known).collect(),
            false => named.iter().cloned().collect(),
        };
        Ok(Self {
            facts,
            graph,
            services,
            plan: Plan {
                project: project.to_owned(),
                ..Plan::default()
            },
        })
    }

    fn order(&self) -> Result<Vec<String>, Error> {
        self.graph.order(&self.services)
    }

    fn containers(&self, service: &str) -> Vec<&'a Container> {
        let containers = self.facts.observed.containers.iter();
        containers
            .filter(|one| !one.oneoff && one.service == service)
            .collect()
    }
}

/// What `start` does.
///
/// # Errors
/// A service that is not there or has no container, services that wait in a circle.
pub fn start(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    options: &Start,
) -> Result<Plan, Error> {
    let mut scene = Scene::of(project, application, facts, &options.services)?;
    if !options.services.is_empty() {
        scene.services = scene.graph.closure(&options.services);
    }
    let mut started: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for service in scene.order()? {
        let containers = scene.containers(&service);
        if containers.is_empty() {
            let scaled = application
                .and_then(|one| one.services.get(&service))
                .map(|one| one.replicas());
            if scaled == Some(0) {
                continue;
            }
            let message = format!("service \"{service}\" has no container to start");
            return Err(Problem::general(message).hint("use up or create").into());
        }
        let mut after: Vec<After> = Vec::new();
        let depends: Vec<_> = scene
            .graph
            .of_service(&service)
            .map(|(name, on)| (name.to_owned(), on))
            .collect();
        for (other, on) in depends {
            let Some(starts) = started.get(&other) else {
                continue;
            };
            let mut wait: Vec<usize> = starts.clone();
            if on.condition != Condition::Started {
                let targets = scene.containers(&other).into_iter().map(target).collect();
                let act = Act::Await {
                    service: other,
                    targets,
                    condition: Awaited::Condition(on.condition),
                    limit: None,
                };
                let cause = format!("{service} needs it");
                wait = vec![scene.plan.push(act, cause, needed(wait))];
            }
            after.extend(wait.into_iter().map(|operation| After {
                operation,
                needed: on.required,
            }));
        }
        let entry = started.entry(service.clone()).or_default();
        for container in containers.into_iter().filter(|one| !one.state.runs()) {
            let act = Act::Start {
                target: target(container),
            };
            entry.push(scene.plan.push(act, "start", after.clone()));
        }
    }
    if options.wait {
        for (service, starts) in started {
            let targets = scene.containers(&service).into_iter().map(target).collect();
            let act = Act::Await {
                service,
                targets,
                condition: Awaited::Ready,
                limit: options.wait_timeout,
            };
            scene.plan.push(act, "it was asked for", needed(starts));
        }
    }
    Ok(scene.plan)
}

/// What `stop` does.
///
/// # Errors
/// A service that is not there, services that wait in a circle.
pub fn stop(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    options: &Stop,
) -> Result<Plan, Error> {
    let mut scene = Scene::of(project, application, facts, &options.services)?;
    let mut stopped: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for service in scene.order()?.into_iter().rev() {
        let dependents = scene.graph.dependents(&service);
        let after = dependents.flat_map(|(name, _)| stopped.get(name).into_iter().flatten());
        let after = needed(after.copied());
        for container in scene
            .containers(&service)
            .into_iter()
            .filter(|one| one.state.runs())
        {
            let act = Act::Stop {
                target: target(container),
                timeout: options.timeout,
            };
            let operation = scene.plan.push(act, "stop", after.clone());
            stopped.entry(service.clone()).or_default().push(operation);
        }
    }
    Ok(scene.plan)
}

/// What `restart` does. Those that want to be restarted with what they need are.
///
/// # Errors
/// A service that is not there, services that wait in a circle.
pub fn restart(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    options: &Restart,
) -> Result<Plan, Error> {
    let mut scene = Scene::of(project, application, facts, &options.services)?;
    let mut causes: BTreeMap<String, String> = BTreeMap::new();
    if !options.no_deps {
        let mut open: Vec<String> = scene.services.iter().cloned().collect();
        while let Some(name) = open.pop() {
            let dependents: Vec<String> = scene
                .graph
                .dependents(&name)
                .filter(|(_, on)| on.restart)
                .map(|(name, _)| name.to_owned())
                .collect();
            for dependent in dependents {
                if scene.services.insert(dependent.clone()) {
                    causes.insert(dependent.clone(), format!("{name} is restarted"));
                    open.push(dependent);
                }
            }
        }
    }
    let mut restarted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for service in scene.order()? {
        let depends = scene.graph.of_service(&service);
        let after = depends.flat_map(|(name, _)| restarted.get(name).into_iter().flatten());
        let after = needed(after.copied());
        let cause = causes
            .get(&service)
            .map_or("restart", String::as_str)
            .to_owned();
        for container in scene.containers(&service) {
            let act = Act::Restart {
                target: target(container),
                timeout: options.timeout,
            };
            let operation = scene.plan.push(act, cause.clone(), after.clone());
            restarted
                .entry(service.clone())
                .or_default()
                .push(operation);
        }
    }
    Ok(scene.plan)
}

/// What `kill` does.
///
/// # Errors
/// A service that is not there.
pub fn kill(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    options: &Kill,
) -> Result<Plan, Error> {
    let mut scene = Scene::of(project, application, facts, &options.services)?;
    let signal = match options.signal.as_str() {
        "" => "KILL",
        signal => signal,
    };
    for container in facts
        .observed
        .containers
        .iter()
        .filter(|one| one.state.runs())
    {
        let known = application.is_none_or(|one| one.services.contains_key(&container.service));
        let named = scene.services.contains(&container.service);
        if named || (!known && options.remove_orphans && options.services.is_empty()) {
            let act = Act::Kill {
                target: target(container),
                signal: signal.to_owned(),
            };
            scene.plan.push(act, "kill", Vec::new());
        }
    }
    Ok(scene.plan)
}

/// What `rm` does: containers that do not run go, those that do where it was asked for.
///
/// # Errors
/// A service that is not there.
pub fn remove(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    options: &Remove,
) -> Result<Plan, Error> {
    let mut scene = Scene::of(project, application, facts, &options.services)?;
    for container in &facts.observed.containers {
        if !scene.services.contains(&container.service) {
            continue;
        }
        let mut after = Vec::new();
        if container.state.runs() {
            if !options.stop {
                continue;
            }
            let act = Act::Stop {
                target: target(container),
                timeout: None,
            };
            after = needed([scene.plan.push(act, "rm --stop", Vec::new())]);
        }
        let act = Act::Remove {
            target: target(container),
            volumes: options.volumes,
            force: true,
        };
        scene.plan.push(act, "rm", after);
    }
    Ok(scene.plan)
}

/// What `pause` does.
///
/// # Errors
/// A service that is not there.
pub fn pause(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    options: &Pause,
) -> Result<Plan, Error> {
    let freeze = |target| Act::Pause { target };
    each(
        project,
        application,
        facts,
        &options.services,
        State::Running,
        "pause",
        freeze,
    )
}

/// What `unpause` does.
///
/// # Errors
/// A service that is not there.
pub fn unpause(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    options: &Unpause,
) -> Result<Plan, Error> {
    let thaw = |target| Act::Unpause { target };
    each(
        project,
        application,
        facts,
        &options.services,
        State::Paused,
        "unpause",
        thaw,
    )
}

fn each(
    project: &str,
    application: Option<&Application>,
    facts: &Facts,
    services: &[String],
    state: State,
    cause: &str,
    act: impl Fn(super::Target) -> Act,
) -> Result<Plan, Error> {
    let mut scene = Scene::of(project, application, facts, services)?;
    for container in facts
        .observed
        .containers
        .iter()
        .filter(|one| one.state == state)
    {
        if scene.services.contains(&container.service) {
            scene.plan.push(act(target(container)), cause, Vec::new());
        }
    }
    Ok(scene.plan)
}
