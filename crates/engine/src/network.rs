//! Networks, as the API speaks of them: listed, shown, pruned.

mod change; // make, join, leave, remove
mod exposure; // who can reach ports
mod ipam; // the subnets of a request

pub(crate) use change::wishes;

use std::collections::{BTreeMap, HashSet};

use onggi_api::network::{
    ConfigReference, EndpointResource, Inspect, Ipam, IpamConfig, IpamStatus, Network, PruneReport,
    Status, SubnetStatus, Summary,
};
use onggi_model::{Filters, Timestamp};

use crate::Engine;
use crate::container::Record;
use crate::container::prune::until;
use crate::error::{Error, Result};
use crate::spec::network::Mode;

/// The filters that `network ls` knows.
const FILTERS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/// The networks that every host has.
const BUILT_IN: [&str; 3] = ["bridge", "host", "none"];

impl Engine {
    /// The networks that fit.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist.
    pub async fn network_list(&self, filters: Filters) -> Result<Vec<Summary>> {
        filters.check(&FILTERS).map_err(|fault| Error::of(&fault))?;
        let dangling = filters
            .boolean("dangling")
            .map_err(|fault| Error::of(&fault))?;
        let mut types = filters.values("type");
        if let Some(other) = types.find(|kind| !["custom", "builtin"].contains(kind)) {
            return Err(Error::invalid(format!("invalid filter: 'type'='{other}'")));
        }
        let in_use = dangling
            .map(|_| self.inner.networks.in_use())
            .unwrap_or_default();
        let fits = |network: &onggi_network::Network| {
            let custom = !BUILT_IN.contains(&network.name.as_str());
            let kind = if custom { "custom" } else { "builtin" };
            filters.pattern("name", &network.name)
                && filters.prefix("id", &network.id)
                && filters.exact("driver", &network.driver)
                && filters.exact("scope", &network.scope)
                && filters.exact("type", kind)
                && filters.labels("label", |key| network.labels.get(key).map(String::as_str))
                // A built-in network is never dangling.
                && dangling.is_none_or(|wanted| wanted == (custom && !is_used(network, &in_use)))
        };
        let networks = self.inner.networks.list();
        Ok(networks
            .iter()
            .filter(|n| fits(n))
            .map(|n| Summary {
                network: document(n),
            })
            .collect())
    }

    /// Removes the networks of users that no container is in.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist.
    pub async fn network_prune(&self, filters: &Filters) -> Result<PruneReport> {
        filters
            .check(&["label", "label!", "until"])
            .map_err(|fault| Error::of(&fault))?;
        let until = until(filters, Timestamp::now())?;
        let mut deleted = Vec::new();
        let in_use = self.inner.networks.in_use();
        for network in self.inner.networks.list() {
            let label = |key: &str| network.labels.get(key).map(String::as_str);
            let fits = filters.labels("label", label)
                && (!filters.contains("label!") || !filters.labels("label!", label))
                && until.is_none_or(|until| network.created < until);
            if BUILT_IN.contains(&network.name.as_str()) || !fits || is_used(&network, &in_use) {
                continue;
            }
            match self.network_remove(&network.id).await {
                Ok(()) => deleted.push(network.name),
                // Somebody came into it meanwhile, or was faster.
                Err(fault) => tracing::debug!(network = network.name, "not pruned: {fault}"),
            }
        }
        let attributes = BTreeMap::from([("reclaimed".to_owned(), "0".to_owned())]);
        self.inner
            .events
            .publish("network", "prune", "", attributes);
        Ok(PruneReport {
            networks_deleted: (!deleted.is_empty()).then_some(deleted),
        })
    }

    /// One network with the containers in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn network_inspect(&self, name: &str) -> Result<Inspect> {
        let network = self.inner.networks.get(name)?;
        let records = self
            .inner
            .containers
            .all()
            .into_iter()
            .map(|container| container.record());
        let containers = records
            .filter_map(|record| endpoint(&record, &network.id))
            .collect();
        Ok(Inspect {
            network: document(&network),
            containers,
            status: self.network_status(&network)?,
            ..Inspect::default()
        })
    }

    /// How many addresses are taken; nothing where there are none.
    fn network_status(&self, network: &onggi_network::Network) -> Result<Option<Status>> {
        let usage = self.inner.networks.usage(&network.id)?;
        if usage.is_empty() {
            return Ok(None);
        }
        let subnet = |usage: onggi_network::SubnetUsage| {
            let status = SubnetStatus {
                ips_in_use: usage.in_use,
                dynamic_ips_available: usage.available,
            };
            (usage.subnet.to_string(), status)
        };
        Ok(Some(Status {
            ipam: IpamStatus {
                subnets: usage.into_iter().map(subnet).collect(),
            },
        }))
    }

    /// Tells listeners that a container came into its networks or left them. One in another's namespace does neither.
    pub(crate) fn network_events(&self, record: &Record, action: &str) {
        match Mode::of(&record.host_config) {
            Mode::Host => self.container_network_event(record, "host", action),
            Mode::None => self.container_network_event(record, "none", action),
            Mode::Bridge | Mode::Named(_) => {
                for endpoint in &record.endpoints {
                    self.container_network_event(record, &endpoint.network, action);
                }
            }
            Mode::Container(_) => {}
        }
    }

    /// Tells listeners that a container came into a network or left it.
    pub(crate) fn container_network_event(&self, record: &Record, name: &str, action: &str) {
        if let Ok(network) = self.inner.networks.get(name) {
            let container = ("container".to_owned(), record.id.to_string());
            self.network_event(&network, action, [container]);
        }
    }

    /// Tells listeners that `action` happened to a network.
    pub(crate) fn network_event(
        &self,
        network: &onggi_network::Network,
        action: &str,
        more: impl IntoIterator<Item = (String, String)>,
    ) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.clone()),
        ]);
        attributes.extend(more);
        self.inner
            .events
            .publish("network", action, &network.id, attributes);
    }
}

/// Whether a running container is in a network, or another network is made after it.
fn is_used(network: &onggi_network::Network, in_use: &HashSet<String>) -> bool {
    in_use.contains(&network.id) || in_use.contains(&network.name)
}

fn endpoint(record: &Record, network: &str) -> Option<(String, EndpointResource)> {
    let endpoint = record
        .endpoints
        .iter()
        .find(|endpoint| endpoint.network_id == network)?;
    fn text(net: Option<impl ToString>) -> String {
        net.map(|net| net.to_string()).unwrap_or_default()
    }
    let resource = EndpointResource {
        name: record.name.clone(),
        endpoint_id: endpoint.endpoint_id.clone(),
        mac_address: endpoint.mac.to_string(),
        ipv4_address: text(endpoint.ipv4),
        ipv6_address: text(endpoint.ipv6),
    };
    Some((record.id.to_string(), resource))
}

fn document(network: &onggi_network::Network) -> Network {
    let pool = |config: &onggi_network::IpamConfig| IpamConfig {
        subnet: config.subnet.to_string(),
        ip_range: config
            .ip_range
            .map(|range| range.to_string())
            .unwrap_or_default(),
        gateway: config
            .gateway
            .map(|gateway| gateway.to_string())
            .unwrap_or_default(),
        auxiliary_addresses: (!config.aux_addresses.is_empty()).then(|| {
            let texts = config.aux_addresses.iter();
            texts
                .map(|(name, address)| (name.clone(), address.to_string()))
                .collect()
        }),
    };
    Network {
        name: network.name.clone(),
        id: network.id.clone(),
        created: network.created.to_string(),
        scope: network.scope.clone(),
        driver: network.driver.clone(),
        enable_ipv4: network.enable_ipv4,
        enable_ipv6: network.enable_ipv6,
        ipam: Ipam {
            driver: network.ipam.driver.clone(),
            options: (!network.ipam.options.is_empty()).then(|| network.ipam.options.clone()),
            config: Some(network.ipam.config.iter().map(pool).collect()),
        },
        internal: network.internal,
        attachable: network.attachable,
        ingress: network.ingress,
        config_only: network.config_only,
        config_from: ConfigReference {
            network: network.config_from.clone(),
        },
        options: network.options.clone(),
        labels: BTreeMap::from_iter(network.labels.clone()),
        ..Network::default()
    }
}
