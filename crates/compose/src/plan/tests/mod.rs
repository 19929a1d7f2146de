//! Tables of plans: what makes containers anew, in which order things are done, what becomes of the rest.

mod changes; // what makes containers anew
mod foreign; // containers of other programs
mod order; // who waits for whom
mod rest; // down, scale, orphans, options

use onggi_api::container::{HealthSummary, PortList, PortSummary, Summary};
use onggi_api::network;

use super::{Act, Facts, ImageFacts, Plan};
use crate::command::Up;
use crate::labels;
use crate::observe::{Container, Observed};
use crate::options::Options;
use crate::service::Application;

/// A folder of a project.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A project of this file; `held.txt` and `web.env` are beside it, with what they hold.
    pub(super) fn application(
        &self,
        text: &str,
        held: &str,
        variables: &[(&str, &str)],
    ) -> Application {
        let folder = self.0.path();
        std::fs::write(folder.join("compose.yaml"), text).unwrap();
        std::fs::write(folder.join("held.txt"), held).unwrap();
        std::fs::write(folder.join("web.env"), format!("HELD={held}\n")).unwrap();
        let options = Options {
            directory: folder.to_owned(),
            project_name: Some("p".to_owned()),
            environment: variables
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Options::default()
        };
        let project = crate::load(&options).unwrap_or_else(|error| panic!("{text}: {error}"));
        Application::of(&project).unwrap()
    }
}

pub(super) fn application(text: &str) -> Application {
    Folder::new().application(text, "held", &[])
}

/// What an engine has after `up` of this project, all of it running.
pub(super) fn after_up(application: &Application) -> Facts {
    let mut facts = Facts {
        moves_ports: true,
        ..Facts::default()
    };
    for (key, wanted) in &application.networks {
        let mut network = network::Network {
            name: wanted.name.clone(),
            id: format!("id of {}", wanted.name),
            driver: if wanted.driver.is_empty() {
                "bridge".to_owned()
            } else {
                wanted.driver.clone()
            },
            internal: wanted.internal,
            attachable: wanted.attachable,
            enable_ipv6: wanted.enable_ipv6.unwrap_or(false),
            options: wanted.driver_opts.clone(),
            labels: wanted.labels.clone(),
            ..network::Network::default()
        };
        let made = crate::request::network(application, key, wanted);
        network.ipam = made.ipam.unwrap_or_default();
        if !wanted.external {
            network
                .labels
                .insert(labels::PROJECT.to_owned(), application.name.clone());
            facts.observed.networks.push(network::Summary {
                network: network.clone(),
            });
        }
        facts.networks.insert(network.name.clone(), network);
    }
    for (key, wanted) in &application.volumes {
        let made = crate::request::volume(application, key, wanted);
        let mut volume = onggi_api::volume::Volume {
            name: wanted.name.clone(),
            driver: if wanted.driver.is_empty() {
                "local".to_owned()
            } else {
                wanted.driver.clone()
            },
            options: Some(wanted.driver_opts.clone()),
            labels: made.labels,
            ..onggi_api::volume::Volume::default()
        };
        if wanted.external {
            volume.labels = None;
        } else {
            facts.observed.volumes.push(volume.clone());
        }
        facts.volumes.insert(volume.name.clone(), volume);
    }
    for service in application.services.values() {
        let image = service.image_name(&application.name);
        let id = format!("id of {image}");
        facts.images.insert(
            image.clone(),
            ImageFacts {
                id,
                ..ImageFacts::default()
            },
        );
        for number in 1..=service.replicas() {
            facts
                .observed
                .containers
                .push(container(application, &service.name, number));
        }
    }
    facts
}

/// A container of a service, as `up` makes it.
pub(super) fn container(application: &Application, service: &str, number: u32) -> Container {
    let service = &application.services[service];
    let image = service.image_name(&application.name);
    let pairs = [
        (labels::PROJECT, application.name.clone()),
        (labels::SERVICE, service.name.clone()),
        (labels::NUMBER, number.to_string()),
        (labels::ONEOFF, "False".to_owned()),
        (labels::VERSION, labels::OUR_VERSION.to_owned()),
        (
            labels::CONFIG_HASH,
            application.hashes[&service.name].clone(),
        ),
    ];
    let name = service.container_name(&application.name, number);
    let mut summary = Summary {
        id: format!("{:0>64}", format!("{:x}{number}", service.name.len())),
        names: vec![format!("/{name}")],
        image_id: format!("id of {image}"),
        image,
        labels: pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        state: "running".to_owned(),
        health: service.healthcheck.as_ref().map(|_| HealthSummary {
            status: "healthy".to_owned(),
            failing_streak: 0,
        }),
        ..Summary::default()
    };
    summary.id.replace_range(
        ..service.name.len().min(32),
        &service.name[..service.name.len().min(32)],
    );
    if let Some(other) = service.network_mode.strip_prefix("service:") {
        let other = container(application, other, 1);
        summary.host_config.network_mode = format!("container:{}", other.id);
    }
    for key in service.networks.keys() {
        let name = &application.networks[key].name;
        let endpoint = network::EndpointSettings {
            network_id: format!("id of {name}"),
            ..network::EndpointSettings::default()
        };
        summary
            .network_settings
            .networks
            .insert(name.clone(), endpoint);
    }
    let ports = service.ports.iter().map(|port| PortSummary {
        private_port: port.target,
        public_port: port.published.parse().unwrap_or(40000),
        kind: port.protocol.clone(),
        ..PortSummary::default()
    });
    let ports: Vec<PortSummary> = ports.collect();
    summary.ports =
        serde_json::from_value::<PortList>(serde_json::to_value(ports).unwrap()).unwrap();
    Container::of(summary)
}

pub(super) fn up(application: &Application, facts: &Facts, options: &Up) -> Plan {
    super::up(application, facts, options).unwrap_or_else(|error| panic!("{error}"))
}

/// The operations, each as it is printed without its cause.
pub(super) fn acts(plan: &Plan) -> Vec<String> {
    plan.operations
        .iter()
        .map(|one| one.act.to_string())
        .collect()
}

/// Does one operation wait for the other, also through others?
pub(super) fn waits(plan: &Plan, later: &str, earlier: &str) -> bool {
    let place = |text: &str| {
        let found = plan
            .operations
            .iter()
            .position(|one| one.act.to_string() == text);
        found.unwrap_or_else(|| panic!("{text} is not in\n{plan}"))
    };
    let (later, earlier) = (place(later), place(earlier));
    let mut open = vec![later];
    while let Some(one) = open.pop() {
        if one == earlier {
            return true;
        }
        open.extend(
            plan.operations[one]
                .after
                .iter()
                .map(|after| after.operation),
        );
    }
    false
}

/// The services whose containers a plan makes anew, in the order of the plan.
pub(super) fn anew(plan: &Plan) -> Vec<String> {
    let made = plan.operations.iter().filter_map(|one| match &one.act {
        Act::Recreate { target, .. } | Act::Replace { target, .. } => Some(target.service.clone()),
        Act::Create {
            target,
            inherits: Some(_),
        } => Some(target.service.clone()),
        _ => None,
    });
    made.collect()
}

pub(super) fn nothing() -> Observed {
    Observed::default()
}
