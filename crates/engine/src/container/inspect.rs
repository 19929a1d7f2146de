//! `inspect`: one container in full.

use onggi_api::container::{self as api, Inspect, NetworkSettings, PortBinding, PortMap, PortSet};
use onggi_api::network::EndpointSettings;
use onggi_model::{Digest, Port, Timestamp};
use onggi_network::Endpoint;
use std::collections::BTreeMap;

use super::{Container, Record, Status};
use crate::Engine;
use crate::error::Result;
use crate::spec;
use crate::spec::network::Mode;

impl Engine {
    /// Everything there is to know about a container; with `size` what it takes on disk.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn container_inspect(&self, id: &str, size: bool) -> Result<Inspect> {
        let container = self.inner.containers.find(id)?;
        let record = container.record();
        let sizes = if size {
            Some(self.sizes(&record).await?)
        } else {
            None
        };
        let mut inspect = self.inspect(&container, &record);
        inspect.size_rw = sizes.map(|(own, _)| own);
        inspect.size_root_fs = sizes.map(|(_, all)| all);
        Ok(inspect)
    }

    fn inspect(&self, container: &Container, record: &Record) -> Inspect {
        let directory = self.container_directory(&self.network_owner(record));
        // Docker shows these once the container has run.
        let began = !record.state.started_at.is_zero();
        let path = |name: &str| match began {
            true => directory.join(name).display().to_string(),
            false => String::new(),
        };
        let execs = self.inner.execs.of(&container.id);
        Inspect {
            id: record.id.to_string(),
            created: record.created.to_string(),
            path: record.path.clone(),
            args: record.args.clone(),
            state: state(record),
            image: record.image.to_string(),
            resolv_conf_path: path("resolv.conf"),
            hostname_path: path("hostname"),
            hosts_path: path("hosts"),
            log_path: match (began, record.host_config.log_config.kind.as_str()) {
                (true, "json-file") => self.log_path(&record.id).display().to_string(),
                _ => String::new(),
            },
            name: format!("/{}", record.name),
            restart_count: i64::from(record.restart_count),
            driver: self.inner.snapshots.driver().name().to_owned(),
            platform: "linux".to_owned(),
            app_armor_profile: crate::spec::security::apparmor(&record.host_config),
            exec_ids: (!execs.is_empty()).then_some(execs),
            host_config: record.host_config.clone(),
            storage: Some(api::Storage {
                root_fs: Some(api::RootFsStorage {
                    snapshot: Some(api::Snapshot {
                        name: self.inner.snapshots.driver().name().to_owned(),
                    }),
                }),
            }),
            mounts: record.mounts.clone(),
            config: record.config.clone(),
            network_settings: NetworkSettings {
                sandbox_id: if record.state.is_running() {
                    record.id.to_string()
                } else {
                    String::new()
                },
                sandbox_key: match (record.state.is_running(), record.state.pid) {
                    (true, pid) => format!("/proc/{pid}/ns/net"),
                    (false, _) => String::new(),
                },
                ports: ports(record),
                networks: self.networks_of(record),
            },
            image_manifest_descriptor: self.manifest_descriptor(&record.image),
            ..Inspect::default()
        }
    }

    /// The manifest that the image was made from, while the image is here.
    pub(crate) fn manifest_descriptor(
        &self,
        image: &Digest,
    ) -> Option<onggi_api::image::Descriptor> {
        self.inner
            .images
            .get(image.as_str())
            .ok()
            .map(|image| crate::image::manifest(&image))
    }

    /// Bytes of its own layer, and of all it sees.
    pub(crate) async fn sizes(&self, record: &Record) -> Result<(i64, i64)> {
        let inner = self.inner.clone();
        let (id, image) = (record.id.clone(), record.image.clone());
        onggi_rt::blocking("measure a container", move || {
            let own = inner.snapshots.usage(&id)?;
            let below = inner.store.image(&image)?.map_or(0, |image| image.size);
            let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
            Ok((number(own), number(own.saturating_add(below))))
        })
        .await?
    }
}

fn state(record: &Record) -> api::State {
    let state = &record.state;
    api::State {
        status: state.status.name().to_owned(),
        running: state.is_active(),
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        oom: state.oom.as_ref().map(|oom| api::Oom {
            limit: oom.limit,
            peak: oom.peak,
            victim: oom.victim.clone().unwrap_or_default(),
            pid: oom.pid.unwrap_or_default(),
            scope: oom.scope.name().to_owned(),
        }),
        dead: state.status == Status::Dead,
        pid: state.pid,
        exit_code: state.exit_code,
        error: state.error.clone(),
        started_at: state.started_at.to_string(),
        finished_at: state.finished_at.to_string(),
        health: state.health.clone(),
    }
}

/// Exposed ports, and where those are published that are: while it runs.
pub(crate) fn ports(record: &Record) -> PortMap {
    if record.endpoints.is_empty() {
        return PortMap::default();
    }
    let exposed = record.config.exposed_ports.iter().flat_map(PortSet::runs);
    let exposed =
        exposed.filter_map(|(first, length)| Some((Port::parse(&first).ok()?, length, None)));
    let runs = record.endpoints.iter().flat_map(|endpoint| &endpoint.ports);
    // What is reached at the container's own address is exposed, and bound nowhere.
    let bound = runs.filter(|run| run.host_port != 0).map(|run| {
        let binding = PortBinding {
            host_ip: run.host_ip.to_string(),
            host_port: run.host_port.to_string(),
        };
        (run.port, run.length, Some(binding))
    });
    PortMap::overlay(exposed.chain(bound))
}

impl Engine {
    /// The networks of a container. One that ran once keeps the ids of its networks, and nothing else of them.
    pub(crate) fn networks_of(&self, record: &Record) -> BTreeMap<String, EndpointSettings> {
        let mut networks = networks(record);
        let ran = record.state.started_at != Timestamp::ZERO;
        for (name, settings) in &mut networks {
            if ran && let Ok(network) = self.inner.networks.get(name) {
                settings.network_id = network.id.clone();
            }
        }
        networks
    }
}

/// The networks of a container, with its addresses while it runs.
fn networks(record: &Record) -> BTreeMap<String, EndpointSettings> {
    let alone = |name: &str| BTreeMap::from([(name.to_owned(), EndpointSettings::default())]);
    match Mode::of(&record.host_config) {
        Mode::Host => return alone("host"),
        Mode::None => return alone("none"),
        Mode::Container(_) => return BTreeMap::new(),
        Mode::Bridge | Mode::Named(_) => {}
    }
    let mut networks = record.joined().into_owned();
    for (name, settings) in &mut networks {
        let live = record.endpoints.iter().find(|live| live.network == *name);
        if *name != "bridge" {
            settings.dns_names = Some(spec::network::names(record, name, settings));
        }
        if let Some(live) = live {
            fill(settings, live);
        }
    }
    networks
}

/// What a running container has in a network.
fn fill(settings: &mut EndpointSettings, live: &Endpoint) {
    fn text(address: Option<impl ToString>) -> String {
        address
            .map(|address| address.to_string())
            .unwrap_or_default()
    }
    settings.network_id.clone_from(&live.network_id);
    settings.endpoint_id.clone_from(&live.endpoint_id);
    settings.gateway = text(live.gateway_v4);
    settings.ip_address = text(live.address_v4());
    settings.ip_prefix_len = live.ipv4.map_or(0, |net| i64::from(net.prefix_len()));
    settings.ipv6_gateway = text(live.gateway_v6);
    settings.global_ipv6_address = text(live.address_v6());
    settings.global_ipv6_prefix_len = live.ipv6.map_or(0, |net| i64::from(net.prefix_len()));
    settings.mac_address = live.mac.to_string();
}
