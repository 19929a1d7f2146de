//! `ps`: the containers that fit, newest first.

use std::collections::HashMap;

use onggi_api::container::{
    HealthSummary, ListOptions, NetworkSettingsSummary, PortList, PortRun, PortSummary, Summary,
    SummaryHostConfig,
};
use onggi_api::image::Descriptor;
use onggi_model::units::human_duration;
use onggi_model::{Digest, Filters, Timestamp};

use super::inspect::ports;
use super::{Record, Status};
use crate::Engine;
use crate::error::{Error, Result};

/// The filters that `ps` knows.
const FILTERS: [&str; 16] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
    "label!",
];

impl Engine {
    /// The containers that fit: those that run, unless the options say more.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist; `NotFound` for a container that a filter names.
    pub async fn container_list(&self, options: ListOptions) -> Result<Vec<Summary>> {
        let filters = &options.filters;
        filters.check(&FILTERS).map_err(|fault| Error::of(&fault))?;
        let chosen = Chosen::read(self, filters)?;
        // Of the filters only this one speaks of containers that do not run.
        let everything = options.all || options.limit.is_some() || filters.contains("status");
        let mut list = Vec::new();
        let mut images = Images::default();
        let linked = self.linked_names();
        for container in self.inner.containers.all() {
            if options.limit.is_some_and(|limit| list.len() >= limit) {
                break;
            }
            let record = container.record();
            if (everything || record.state.is_active()) && chosen.fits(self, &record) {
                let own = format!("/{}", record.name);
                let mut names = linked.get(&own).cloned().unwrap_or_default();
                names.push(own);
                names.sort();
                let image = images.of(self, &record);
                let summary = self.summary(&record, names, image, options.size);
                list.push(summary.await?);
            }
        }
        Ok(list)
    }

    async fn summary(
        &self,
        record: &Record,
        names: Vec<String>,
        (image, image_manifest_descriptor): (String, Option<Descriptor>),
        size: bool,
    ) -> Result<Summary> {
        let sizes = if size {
            self.sizes(record).await?
        } else {
            (0, 0)
        };
        Ok(Summary {
            id: record.id.to_string(),
            names,
            image,
            image_id: record.image.to_string(),
            image_manifest_descriptor,
            command: command(record),
            created: record.created.seconds(),
            ports: port_list(record),
            size_rw: sizes.0,
            size_root_fs: sizes.1,
            labels: record.config.labels.clone().unwrap_or_default(),
            state: record.state.status.name().to_owned(),
            status: status(record, Timestamp::now()),
            host_config: SummaryHostConfig {
                network_mode: record.host_config.network_mode.clone(),
                annotations: record.host_config.annotations.clone(),
            },
            health: Some(health(record)),
            network_settings: NetworkSettingsSummary {
                networks: self.networks_of(record),
            },
            mounts: record.mounts.clone(),
        })
    }
}

/// What a list says of images; many containers are of few images, and each is looked up once.
#[derive(Default)]
struct Images {
    /// What a name means now.
    names: HashMap<String, Option<Digest>>,
    manifests: HashMap<Digest, Option<Descriptor>>,
}

impl Images {
    /// The name a container was made from, while that still means the same image, else the image's ID; and the image's
    /// manifest.
    fn of(&mut self, engine: &Engine, record: &Record) -> (String, Option<Descriptor>) {
        let name = &record.config.image;
        if !self.names.contains_key(name) {
            let image = engine.inner.images.get(name).ok();
            self.names
                .insert(name.clone(), image.map(|image| image.id().clone()));
        }
        let shown = match self.names.get(name) {
            Some(Some(id)) if *id == record.image => name.clone(),
            _ => record.image.to_string(),
        };
        let manifest = match self.manifests.get(&record.image) {
            Some(manifest) => manifest.clone(),
            None => {
                let manifest = engine.manifest_descriptor(&record.image);
                self.manifests
                    .insert(record.image.clone(), manifest.clone());
                manifest
            }
        };
        (shown, manifest)
    }
}

/// The filters, read once.
struct Chosen<'a> {
    filters: &'a Filters,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    ancestors: Option<Vec<Digest>>,
    exited: Vec<i32>,
    /// Ports of the host, and ports of containers.
    publish: Vec<onggi_model::Port>,
    expose: Vec<onggi_model::Port>,
    /// Whether it is one of a service's.
    task: Option<bool>,
}

impl<'a> Chosen<'a> {
    fn read(engine: &Engine, filters: &'a Filters) -> Result<Self> {
        let created = |name: &str| match filters.values(name).next() {
            Some(other) => Ok(Some(engine.inner.containers.find(other)?.record().created)),
            None => Ok::<_, Error>(None),
        };
        for status in filters.values("status") {
            const STATES: [&str; 7] = [
                "created",
                "running",
                "paused",
                "restarting",
                "removing",
                "exited",
                "dead",
            ];
            if !STATES.contains(&status) {
                return Err(Error::invalid(format!("invalid filter 'status={status}'")));
            }
        }
        for health in filters.values("health") {
            if !["none", "starting", "healthy", "unhealthy"].contains(&health) {
                return Err(Error::invalid(format!(
                    "unrecognized filter value for health: {health}"
                )));
            }
        }
        let exited = filters.values("exited").map(|code| {
            code.parse()
                .map_err(|_| Error::invalid(format!("invalid filter 'exited={code}'")))
        });
        let ancestors = filters.contains("ancestor").then(|| {
            let images = filters
                .values("ancestor")
                .filter_map(|n| engine.inner.images.get(n).ok());
            images.map(|image| image.id().clone()).collect()
        });
        Ok(Self {
            before: created("before")?,
            since: created("since")?,
            ancestors,
            exited: exited.collect::<Result<_>>()?,
            publish: port_filter(filters, "publish")?,
            expose: port_filter(filters, "expose")?,
            task: filters
                .boolean("is-task")
                .map_err(|fault| Error::of(&fault))?,
            filters,
        })
    }

    /// Either filter may let a container through: `publish` by the host's port, `expose` by its own.
    fn ports_fit(&self, record: &Record) -> bool {
        if self.publish.is_empty() && self.expose.is_empty() {
            return true;
        }
        let has = |ports: &[onggi_model::Port], first: u16, run: &PortRun| {
            let mut ports = ports.iter();
            ports.any(|port| {
                let by = port.number.checked_sub(first);
                by.is_some_and(|by| by < run.length) && port.protocol.as_str() == run.first.kind
            })
        };
        port_list(record).runs().any(|run| {
            let public = run.first.public_port;
            public != 0 && has(&self.publish, public, run)
                || has(&self.expose, run.first.private_port, run)
        })
    }

    fn fits(&self, engine: &Engine, record: &Record) -> bool {
        let filters = self.filters;
        let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
            !filters.contains(name) || filters.values(name).any(fits)
        };
        let labels = record.config.labels.as_ref();
        let name = format!("/{}", record.name);
        filters.prefix("id", record.id.as_str())
            && (filters.pattern("name", &record.name) || filters.pattern("name", &name))
            && filters.labels("label", |key| labels?.get(key).map(String::as_str))
            && (!filters.contains("label!")
                || !filters.labels("label!", |key| labels?.get(key).map(String::as_str)))
            && any("status", &|status| record.state.status.name() == status)
            && any("health", &|wanted| health(record).status == wanted)
            && self.task != Some(true)
            && any("isolation", &|isolation| isolation == "default")
            && any("network", &|network| {
                engine.networks_of(record).iter().any(|(n, e)| {
                    n == network || (!e.network_id.is_empty() && e.network_id.starts_with(network))
                })
            })
            && any("volume", &|volume| {
                record.mounts.iter().any(|m| {
                    [&m.name, &m.source, &m.destination]
                        .iter()
                        .any(|v| *v == volume)
                })
            })
            && self.ports_fit(record)
            && (self.exited.is_empty()
                || (record.state.status == Status::Exited
                    && self.exited.contains(&record.state.exit_code)))
            && self.before.is_none_or(|before| record.created < before)
            && self.since.is_none_or(|since| record.created > since)
            && self
                .ancestors
                .as_ref()
                .is_none_or(|images| images.contains(&record.image))
    }
}

/// The ports of `80`, `80/tcp`, `80-90/tcp`.
fn port_filter(filters: &Filters, key: &str) -> Result<Vec<onggi_model::Port>> {
    let mut ports = Vec::new();
    for value in filters.values(key) {
        if value.contains(':') {
            let text = format!("filter for '{key}' should not contain ':': {value}");
            return Err(Error::invalid(text));
        }
        let range = onggi_model::Port::parse_range(value).map_err(|fault| {
            Error::invalid(format!("error while looking up for {key} {value}: {fault}"))
        })?;
        ports.extend(range);
    }
    Ok(ports)
}

/// What a list says of health.
fn health(record: &Record) -> HealthSummary {
    match &record.state.health {
        None => HealthSummary {
            status: "none".to_owned(),
            failing_streak: 0,
        },
        Some(health) => HealthSummary {
            status: health.status.clone(),
            failing_streak: health.failing_streak,
        },
    }
}

/// The command as `ps` shows it: words with blanks are quoted.
fn command(record: &Record) -> String {
    let quoted = |word: &String| match word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    let args: Vec<_> = record.args.iter().map(quoted).collect();
    match args.is_empty() {
        true => record.path.clone(),
        false => format!("{} {}", record.path, args.join(" ")),
    }
}

/// `Up 3 minutes`, `Exited (0) 2 hours ago`, as Docker says it.
fn status(record: &Record, now: Timestamp) -> String {
    let state = &record.state;
    let ago = |then: Timestamp| human_duration(now.since(then));
    match state.status {
        Status::Running => {
            let health = match state.health.as_ref().map(|health| health.status.as_str()) {
                None => String::new(),
                Some("starting") => " (health: starting)".to_owned(),
                Some(status) => format!(" ({status})"),
            };
            format!("Up {}{health}", ago(state.started_at))
        }
        Status::Paused => format!("Up {} (Paused)", ago(state.started_at)),
        Status::Restarting => {
            format!(
                "Restarting ({}) {} ago",
                state.exit_code,
                ago(state.finished_at)
            )
        }
        Status::Removing | Status::Removed => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
        Status::Created => "Created".to_owned(),
        Status::Exited => format!(
            "Exited ({}) {} ago",
            state.exit_code,
            ago(state.finished_at)
        ),
    }
}

fn port_list(record: &Record) -> PortList {
    let mut list = PortList::default();
    for (first, length, bindings) in ports(record).runs() {
        let Ok(port) = onggi_model::Port::parse(&first) else {
            continue;
        };
        let mut push = |ip: &str, public_port: u16| {
            let first = PortSummary {
                ip: ip.to_owned(),
                private_port: port.number,
                public_port,
                kind: port.protocol.as_str().to_owned(),
            };
            list.push(PortRun { first, length });
        };
        match bindings {
            None => push("", 0),
            Some(bindings) => bindings.iter().for_each(|binding| {
                push(
                    &binding.host_ip,
                    binding.host_port.parse().unwrap_or_default(),
                );
            }),
        }
    }
    list
}
