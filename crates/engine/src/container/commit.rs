//! `commit`: an image of a container, its changes as one more layer.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use onggi_api::container::Config;
use onggi_archive::{PackOptions, Times};
use onggi_image::Commit;
use onggi_oci::image::{ContainerConfig, Empty, Healthcheck};

use super::Container;
use crate::error::Result;
use crate::{Engine, spec};

/// What an image of a container is to be.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// Its name without tag; none where empty.
    pub repository: String,
    /// Its tag.
    pub tag: String,
    /// Remark.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Whether the container's processes stand still meanwhile.
    pub pause: bool,
    /// Instructions of a Dockerfile that change its configuration.
    pub changes: Vec<String>,
    /// A configuration that comes before the container's own.
    pub config: Option<Config>,
}

impl Engine {
    /// Makes an image of a container; its ID.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` for a bad name or instruction; `Conflict` for a container on its way out; what
    /// the disk says.
    pub async fn container_commit(&self, id: &str, options: CommitOptions) -> Result<String> {
        let container = self.inner.containers.find(id)?;
        let reference = match options.repository.as_str() {
            "" => None,
            name => Some(crate::image::reference_of(name, &options.tag)?),
        };
        let name = reference.as_ref().map(onggi_model::ImageRef::familiar);
        let record = container.record();
        let mut config = match &options.config {
            Some(config) => image_config(config),
            // What runs is left open: a new entrypoint takes no old command.
            None => ContainerConfig {
                entrypoint: None,
                cmd: None,
                ..image_config(&record.config)
            },
        };
        onggi_image::change(&mut config, &options.changes)?;
        fill(&mut config, image_config(&record.config));
        let commit = Commit {
            parent: record.image.clone(),
            reference,
            author: options.author,
            comment: options.comment.clone(),
            created_by: record.config.cmd.clone().unwrap_or_default().join(" "),
            config,
        };
        let frozen = match options.pause {
            true => self.freeze(&container).await?,
            false => None,
        };
        let engine = self.clone();
        let work = onggi_rt::blocking("commit a container", move || {
            let layers = engine.layers(&record)?;
            let pack = PackOptions {
                times: Times::Seconds,
                without: layers.own(),
                ..PackOptions::layer()
            };
            let write = |sink: &mut dyn std::io::Write| {
                onggi_archive::pack(layers.upper.as_fd(), sink, &pack)
            };
            Ok::<_, crate::Error>(engine.inner.images.derive(commit, write)?)
        });
        let image = work.await;
        if let Some(frozen) = frozen {
            // Unless somebody paused it meanwhile, and means it.
            match container.record().state.status {
                super::Status::Paused => frozen.leave(),
                _ => frozen.thaw().await?,
            }
        }
        let image = image??;
        let id = image.id().to_string();
        if let Some(name) = &name {
            self.image_event("tag", &id, &image, name);
        }
        let mut attributes = BTreeMap::from([
            ("comment".to_owned(), options.comment),
            ("imageID".to_owned(), id.clone()),
        ]);
        attributes.insert("imageRef".to_owned(), name.unwrap_or_default());
        self.container_event(&container.record(), "commit", attributes);
        Ok(id)
    }

    /// Stops the processes of a container that runs; `None` where there is nothing to stop. The record does not tell:
    /// this is not a pause that anybody asked for.
    async fn freeze(&self, container: &Arc<Container>) -> Result<Option<Frozen>> {
        let record = container.record();
        if record.state.status != super::Status::Running {
            return Ok(None);
        }
        let (engine, path) = (
            self.clone(),
            spec::cgroup_path(&record, &self.inner.cgroups),
        );
        onggi_rt::blocking("freeze a container", move || {
            let group = engine.inner.cgroups.open(&path);
            let frozen = group.and_then(|group| group.freeze().map(|()| group));
            match frozen {
                Ok(group) => Ok(Some(Frozen(Some(group)))),
                // It ended meanwhile.
                Err(error) if error.is_gone() => Ok(None),
                Err(error) => Err(crate::Error::internal(onggi_model::chain(&error))),
            }
        })
        .await?
    }
}

impl Engine {
    /// Lets processes go on that a commit of an earlier daemon stopped and could not let go.
    pub(crate) async fn thaw_forgotten(&self, record: &super::Record) {
        if record.state.status != super::Status::Running {
            return;
        }
        let (engine, path) = (self.clone(), spec::cgroup_path(record, &self.inner.cgroups));
        let thawed = onggi_rt::blocking("thaw a container", move || {
            let group = engine.inner.cgroups.open(&path)?;
            let frozen = group.is_frozen()?;
            if frozen {
                group.thaw()?;
            }
            Ok::<_, onggi_cgroup::Error>(frozen)
        });
        let told = |text: String| tracing::warn!(container = %record.id, "{text}");
        match thawed.await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => told("it stood still for a commit that was broken off".to_owned()),
            Ok(Err(error)) => told(onggi_model::chain(&error)),
            Err(error) => told(error.to_string()),
        }
    }
}

/// Processes that stand still until this is thawed or dropped.
struct Frozen(Option<onggi_cgroup::Group>);

impl Frozen {
    fn leave(mut self) {
        self.0 = None;
    }

    async fn thaw(mut self) -> Result<()> {
        let group = self.0.take();
        onggi_rt::blocking("thaw a container", move || match group.map(|g| g.thaw()) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) if error.is_gone() => Ok(()),
            Some(Err(error)) => Err(crate::Error::internal(onggi_model::chain(&error))),
        })
        .await?
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(group) = &self.0
            && let Err(error) = group.thaw()
            && !error.is_gone()
        {
            tracing::warn!("{}", onggi_model::chain(&error));
        }
    }
}

/// Fills what is left open from the container's configuration, by Docker's rules.
fn fill(config: &mut ContainerConfig, container: ContainerConfig) {
    if config.user.is_empty() {
        config.user = container.user;
    }
    config.exposed_ports.extend(container.exposed_ports);
    config.volumes.extend(container.volumes);
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let known: Vec<String> = config.env.iter().map(|variable| name(variable)).collect();
    let missing = container.env.into_iter();
    config
        .env
        .extend(missing.filter(|variable| !known.contains(&name(variable))));
    for (name, value) in container.labels {
        config.labels.entry(name).or_insert(value);
    }
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd = container.cmd;
            config.args_escaped = container.args_escaped;
        }
        if config.entrypoint.is_none() {
            config.entrypoint = container.entrypoint;
        }
    }
    if config.working_dir.is_empty() {
        config.working_dir = container.working_dir;
    }
    config.healthcheck = config.healthcheck.take().or(container.healthcheck);
    config.stop_signal = config.stop_signal.take().or(container.stop_signal);
    config.stop_timeout = config.stop_timeout.or(container.stop_timeout);
    config.shell = config.shell.take().or(container.shell);
}

/// What an image keeps of a container's configuration.
fn image_config(config: &Config) -> ContainerConfig {
    let keys = |map: &Option<BTreeMap<String, onggi_api::go::Empty>>| {
        let keys = map.iter().flatten().map(|(key, _)| (key.clone(), Empty {}));
        keys.collect::<BTreeMap<_, _>>()
    };
    ContainerConfig {
        user: config.user.clone(),
        exposed_ports: {
            let ports = config.exposed_ports.iter().flatten();
            ports.map(|(port, _)| (port, Empty {})).collect()
        },
        env: config.env.clone().unwrap_or_default(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: keys(&config.volumes),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone().unwrap_or_default(),
        stop_signal: Some(config.stop_signal.clone()).filter(|signal| !signal.is_empty()),
        stop_timeout: config.stop_timeout,
        args_escaped: config.args_escaped,
        healthcheck: config.healthcheck.as_ref().map(|check| Healthcheck {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        on_build: config.on_build.clone().unwrap_or_default(),
        shell: config.shell.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_wins_over_the_container() {
        let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let container = Config {
            cmd: Some(words(&["sleep", "1"])),
            entrypoint: Some(words(&["/entry"])),
            env: Some(words(&["A=1", "B=2"])),
            user: "app".to_owned(),
            labels: Some(BTreeMap::from([("k".to_owned(), "v".to_owned())])),
            ..Config::default()
        };
        let mut config = ContainerConfig::default();
        let changes = [r#"CMD ["x"]"#, "ENV A=3", "LABEL k=w l=m", "WORKDIR /srv"];
        let changes = changes.map(str::to_owned);
        onggi_image::change(&mut config, &changes).expect("good instructions");
        fill(&mut config, image_config(&container));
        assert_eq!(config.cmd, Some(words(&["x"])));
        assert_eq!(config.entrypoint, Some(words(&["/entry"])));
        assert_eq!(config.env, words(&["A=3", "B=2"]));
        assert_eq!(
            (config.user.as_str(), config.working_dir.as_str()),
            ("app", "/srv")
        );
        assert_eq!(config.labels["k"], "w");

        let mut config = ContainerConfig::default();
        let entry = [r#"ENTRYPOINT ["/new"]"#.to_owned()];
        onggi_image::change(&mut config, &entry).expect("a good instruction");
        fill(&mut config, image_config(&container));
        assert_eq!(
            (config.entrypoint, config.cmd),
            (Some(words(&["/new"])), None)
        );
    }
}
