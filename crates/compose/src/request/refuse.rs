//! Keys that the specification has and no engine can do. What changes a container is refused, with the way out; what only
//! a swarm would heed is told.

use crate::error::Problem;
use crate::node::Node;
use crate::project::Project;

/// Keys of services that are refused: what is asked for, and what to do instead.
const REFUSED: [(&[&str], &str, &str); 8] = [
    (
        &["provider"],
        "services of providers are managed by programs that are not here",
        "start what it provides by hand, and give the others its address as variables",
    ),
    (
        &["models"],
        "there is no runner of models here",
        "run one as a service, and give its address as variables",
    ),
    (
        &["credential_spec"],
        "credential specs are Windows' own",
        "leave it out, or give the credentials as a secret",
    ),
    (
        &["cpu_count"],
        "a number of processors is Windows' own",
        "use cpus or cpuset",
    ),
    (
        &["cpu_percent"],
        "a percentage of the processors is Windows' own",
        "use cpus",
    ),
    (
        &["use_api_socket"],
        "logins are not handed to containers",
        "bind the socket of the engine as a volume, and give logins as a secret",
    ),
    (
        &["deploy", "resources", "reservations", "generic_resources"],
        "generic resources are a swarm's",
        "reserve devices, or leave it out",
    ),
    (
        &["isolation"],
        "kinds of isolation are Windows' own",
        "use runtime",
    ),
];

/// Keys of `deploy` that only a swarm heeds.
const SWARM: [&[&str]; 11] = [
    &["deploy", "update_config", "delay"],
    &["deploy", "update_config", "failure_action"],
    &["deploy", "update_config", "monitor"],
    &["deploy", "update_config", "max_failure_ratio"],
    &["deploy", "placement"],
    &["deploy", "endpoint_mode"],
    &["deploy", "labels"],
    &["deploy", "rollback_config"],
    &["deploy", "restart_policy", "delay"],
    &["deploy", "restart_policy", "window"],
    &["deploy", "resources", "reservations", "cpus"],
];

/// What a project asks for in vain.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    /// What it cannot have.
    pub problems: Vec<Problem>,
    /// What has no effect.
    pub warnings: Vec<String>,
}

/// What a project asks for in vain, in these services; none named is all.
pub fn refuse(project: &Project, only: &[String]) -> Refusals {
    let mut refusals = Refusals::default();
    let services = project.services();
    for (name, service) in
        services.filter(|(name, _)| only.is_empty() || only.iter().any(|one| one == name))
    {
        for (keys, reason, way_out) in REFUSED {
            if keys == ["isolation"] && matches!(service.text("isolation"), Some("" | "default")) {
                continue;
            }
            if let Some(node) = said(service, keys) {
                let path = format!("services.{name}.{}", keys.join("."));
                refusals
                    .problems
                    .push(Problem::new(&node.place, path, reason).hint(way_out));
            }
        }
        for keys in SWARM {
            if let Some(node) = said(service, keys) {
                let path = keys.join(".");
                let place = &node.place;
                let text = format!(
                    "{place}: services.{name}.{path}: only a swarm heeds it; it has no effect"
                );
                refusals.warnings.push(text);
            }
        }
        let mode = service.at(&["deploy", "mode"]);
        if let Some(node) =
            mode.filter(|node| node.as_str().is_some_and(|mode| mode.ends_with("-job")))
        {
            let path = format!("services.{name}.deploy.mode");
            let problem = Problem::new(&node.place, path, "jobs are a swarm's");
            refusals
                .problems
                .push(problem.hint("use `compose run`, or a service that ends"));
        }
    }
    refusals
}

/// A key that says something.
fn said<'a>(service: &'a Node, keys: &[&str]) -> Option<&'a Node> {
    let node = service.at(keys)?;
    let empty = node.is_null()
        || node.as_bool() == Some(false)
        || node.as_str() == Some("")
        || node.as_map().is_some_and(crate::node::Map::is_empty)
        || matches!(&node.value, crate::node::Value::List(items) if items.is_empty());
    (!empty).then_some(node)
}
