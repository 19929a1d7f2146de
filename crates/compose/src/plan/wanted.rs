//! Networks and volumes that the project wants: those that are missing are made, networks that are others than the project
//! says are made anew, volumes never, since their data would be lost.

use std::collections::{BTreeMap, BTreeSet};

use onggi_api::network::Network as Found;
use onggi_api::volume::Volume as FoundVolume;

use super::{Act, Facts, Plan};
use crate::error::{Error, Problem};
use crate::labels;
use crate::service::{Application, Network, Volume};

/// The networks these services use: which must be made, and why; `true` where one of that name goes before.
pub(super) fn networks(
    application: &Application,
    services: &BTreeSet<String>,
    facts: &Facts,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, (String, bool)>, Error> {
    let mut missing = BTreeMap::new();
    let used = services
        .iter()
        .filter_map(|name| application.services.get(name));
    let used: BTreeSet<&String> = used
        .filter(|service| service.network_mode.is_empty())
        .flat_map(|service| service.networks.keys())
        .collect();
    for key in used {
        let Some(wanted) = application.networks.get(key) else {
            continue;
        };
        match facts.networks.get(&wanted.name) {
            None if wanted.external => {
                let message = format!(
                    "network {} declared as external, but could not be found",
                    wanted.name
                );
                let hint = format!("docker network create {}", wanted.name);
                return Err(Problem::general(message).hint(hint).into());
            }
            None => {
                missing.insert(key.clone(), ("it is missing".to_owned(), false));
            }
            Some(_) if wanted.external => (),
            Some(found) => {
                if let Some(other) = foreign(&application.name, &found.labels) {
                    warnings.push(format!(
                        "a network with name {} exists but was not created {other}. Set `external: true` to use an existing network",
                        wanted.name
                    ));
                    continue;
                }
                let differences = network_differences(wanted, found);
                if !differences.is_empty() {
                    let cause = format!("it differs: {}", differences.join(", "));
                    missing.insert(key.clone(), (cause, true));
                }
            }
        }
    }
    Ok(missing)
}

/// By whom it was not made.
fn foreign(project: &str, found: &BTreeMap<String, String>) -> Option<String> {
    match found.get(labels::PROJECT) {
        Some(name) if name == project => None,
        Some(_) => Some(format!("for project \"{project}\"")),
        None => Some("by compose".to_owned()),
    }
}

fn network_differences(wanted: &Network, found: &Found) -> Vec<&'static str> {
    let mut all = Vec::new();
    let driver = if wanted.driver.is_empty() {
        "bridge"
    } else {
        &wanted.driver
    };
    let mut differ = |what, differs: bool| {
        if differs {
            all.push(what);
        }
    };
    differ("driver", driver != found.driver);
    differ("internal", wanted.internal != found.internal);
    // docker-compose of before makes all networks so; one that is and need not be is no less fit.
    differ("attachable", wanted.attachable && !found.attachable);
    differ(
        "enable_ipv6",
        wanted.enable_ipv6.is_some_and(|on| on != found.enable_ipv6),
    );
    let options = wanted.driver_opts.iter();
    let mut other = options.filter(|(name, value)| found.options.get(*name) != Some(value));
    differ("driver_opts", other.next().is_some());
    let ranges = found.ipam.config.as_deref().unwrap_or_default();
    let missing = wanted.ipam.config.iter().any(|range| {
        let said = |own: &str, theirs: &str| own.is_empty() || own == theirs;
        !ranges.iter().any(|found| {
            said(&range.subnet, &found.subnet)
                && said(&range.gateway, &found.gateway)
                && said(&range.ip_range, &found.ip_range)
        })
    });
    differ("ipam", missing);
    let own = wanted.labels.iter();
    let mut other = own.filter(|(name, value)| found.labels.get(*name) != Some(value));
    differ("labels", other.next().is_some());
    all
}

/// Adds what makes the missing volumes of these services; gives the operation of each by its key.
pub(super) fn volumes(
    application: &Application,
    services: &BTreeSet<String>,
    facts: &Facts,
    plan: &mut Plan,
) -> Result<BTreeMap<String, usize>, Error> {
    let mut made = BTreeMap::new();
    let used = services
        .iter()
        .filter_map(|name| application.services.get(name));
    let used: BTreeSet<&String> = used
        .flat_map(|service| &service.volumes)
        .filter(|volume| volume.kind == "volume" && !volume.source.is_empty())
        .map(|volume| &volume.source)
        .collect();
    for key in used {
        let Some(wanted) = application.volumes.get(key) else {
            continue;
        };
        match facts.volumes.get(&wanted.name) {
            None if wanted.external => {
                let message = format!("external volume \"{}\" not found", wanted.name);
                let hint = format!("docker volume create {}", wanted.name);
                return Err(Problem::general(message).hint(hint).into());
            }
            None => {
                let act = Act::CreateVolume {
                    key: key.clone(),
                    name: wanted.name.clone(),
                };
                made.insert(key.clone(), plan.push(act, "it is missing", Vec::new()));
            }
            Some(_) if wanted.external => (),
            Some(found) => {
                let theirs = found.labels.clone().unwrap_or_default();
                if let Some(other) = foreign(&application.name, &theirs) {
                    plan.warnings.push(format!(
                        "volume \"{}\" already exists but was not created {other}. Use `external: true` to use an existing volume",
                        wanted.name
                    ));
                } else if volume_differs(wanted, found) {
                    plan.warnings.push(format!(
                        "volume \"{}\" exists but its driver or options are others than the project's: its data is kept as \
                         it is; remove it (docker volume rm {}) to have it made anew",
                        wanted.name, wanted.name
                    ));
                }
            }
        }
    }
    Ok(made)
}

fn volume_differs(wanted: &Volume, found: &FoundVolume) -> bool {
    let driver = if wanted.driver.is_empty() {
        "local"
    } else {
        &wanted.driver
    };
    let options = found.options.clone().unwrap_or_default();
    driver != found.driver || wanted.driver_opts != options
}
