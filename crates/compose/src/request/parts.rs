//! Networks and volumes of the project.

use std::collections::BTreeMap;

use onggi_api::network::{CreateRequest as NetworkCreate, Ipam, IpamConfig};
use onggi_api::volume::CreateRequest as VolumeCreate;

use crate::labels;
use crate::service::{Application, Network, Texts, Volume};

/// What to ask the engine for.
pub fn network(application: &Application, key: &str, network: &Network) -> NetworkCreate {
    let ranges = network.ipam.config.iter().map(|range| IpamConfig {
        subnet: range.subnet.clone(),
        ip_range: range.ip_range.clone(),
        gateway: range.gateway.clone(),
        auxiliary_addresses: some(&range.aux_addresses),
    });
    let ranges: Vec<IpamConfig> = ranges.collect();
    let ipam = Ipam {
        driver: network.ipam.driver.clone(),
        options: some(&network.ipam.options),
        config: Some(ranges).filter(|ranges| !ranges.is_empty()),
    };
    NetworkCreate {
        name: network.name.clone(),
        driver: match network.driver.is_empty() {
            true => "bridge".to_owned(),
            false => network.driver.clone(),
        },
        enable_ipv4: network.enable_ipv4,
        enable_ipv6: network.enable_ipv6,
        ipam: Some(ipam).filter(|ipam| *ipam != Ipam::default()),
        internal: network.internal,
        attachable: network.attachable,
        options: some(&network.driver_opts),
        labels: Some(marked(application, &network.labels, labels::NETWORK, key)),
        ..NetworkCreate::default()
    }
}

/// What to ask the engine for.
pub fn volume(application: &Application, key: &str, volume: &Volume) -> VolumeCreate {
    VolumeCreate {
        name: volume.name.clone(),
        driver: volume.driver.clone(),
        driver_opts: some(&volume.driver_opts),
        labels: Some(marked(application, &volume.labels, labels::VOLUME, key)),
        ..VolumeCreate::default()
    }
}

fn some(map: &Texts) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}

fn marked(
    application: &Application,
    own: &Texts,
    what: &str,
    key: &str,
) -> BTreeMap<String, String> {
    let mut all = own.clone();
    for (name, value) in [
        (labels::PROJECT, application.name.as_str()),
        (labels::VERSION, labels::OUR_VERSION),
        (what, key),
    ] {
        all.insert(name.to_owned(), value.to_owned());
    }
    all
}
