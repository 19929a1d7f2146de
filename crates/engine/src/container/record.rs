//! What the catalogue keeps of a container, and what readers see: one immutable document.
//!
//! The record is replaced, never changed in place: whoever holds one holds a consistent picture.

use std::borrow::Cow;

use onggi_api::container::{Config, Health, HostConfig, MountPoint, NetworkingConfig};
use onggi_api::network::EndpointSettings;
use onggi_model::{ContainerId, Digest, Secret, Timestamp};
use onggi_monitor::protocol::Oom;
use onggi_network::Endpoint;
use onggi_store::Record as Stored;
use serde::{Deserialize, Serialize};

use super::mounts::Wanted;
use crate::spec::network::{Joined, Mode};

/// A container as it was created, and where it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: ContainerId,
    /// Without the leading slash.
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// What runs: entrypoint and command, merged with the image's.
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
    /// Merged with the image's configuration.
    #[serde(with = "runs")]
    pub(crate) config: Config,
    #[serde(with = "runs")]
    pub(crate) host_config: HostConfig,
    pub(crate) networking: NetworkingConfig,
    /// What it asks of each of its networks, by their names; absent in records of before, which have one at most.
    #[serde(default)]
    pub(crate) joined: Option<Joined>,
    pub(crate) image: Digest,
    /// As `inspect` lists them.
    pub(crate) mounts: Vec<MountPoint>,
    /// As they are mounted.
    #[serde(default)]
    pub(crate) wanted: Vec<Wanted>,
    /// Kept from start to exit.
    #[serde(default, alias = "endpoint", deserialize_with = "some_or_many")]
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) state: State,
    pub(crate) restart_count: u32,
    /// How often in a row it ended soon after its start: what the pause before the next start grows by.
    #[serde(default)]
    pub(crate) short_runs: u32,
    /// How often it has exited: what `wait` for the next exit counts.
    pub(crate) exits: u64,
    /// Set by stop, kill and removal: `unless-stopped` does not bring it back.
    pub(crate) stopped_by_user: bool,
    /// It is being ended because its check fails (`--on-unhealthy=restart`): it comes back whatever its policy says.
    #[serde(default)]
    pub(crate) unhealthy: bool,
    /// Set by stop, removal and what kills: no policy brings it back at the end of this run.
    #[serde(default)]
    pub(crate) stays_down: bool,
    /// Its anonymous volumes go with it: whoever finishes its removal must know.
    #[serde(default)]
    pub(crate) remove_volumes: bool,
    /// It runs a step of a build: it goes with that, and with the daemon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_step: bool,
    /// Variables of a step that hold secrets: no disk has them, and nobody who asks is told.
    #[serde(skip)]
    pub(crate) secrets: Secret<Vec<String>>,
    /// The kernel's boot it last ran in: a pid of another boot says nothing.
    pub(crate) boot_id: String,
}

/// Neighbouring ports are kept as runs: 40,000 of them are a few bytes of a record that is written at each change.
mod runs {
    use onggi_api::container::as_runs;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        part: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        as_runs(|| part.serialize(to))
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        as_runs(|| T::deserialize(from))
    }
}

/// Records written when there was one network have one endpoint or none.
fn some_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Endpoint>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        Many(Vec<Endpoint>),
        One(Option<Box<Endpoint>>),
    }
    Ok(match Kept::deserialize(from)? {
        Kept::Many(all) => all,
        Kept::One(one) => one.into_iter().map(|one| *one).collect(),
    })
}

/// Where a container stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) status: Status,
    pub(crate) pid: u32,
    pub(crate) exit_code: i32,
    pub(crate) error: String,
    pub(crate) oom_killed: bool,
    /// What is known of that.
    #[serde(default)]
    pub(crate) oom: Option<Oom>,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    /// Where it has a health check and was started.
    #[serde(default)]
    pub(crate) health: Option<Health>,
}

/// Docker's states of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
    /// Gone; only readers that still hold the record see this.
    Removed,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing | Self::Removed => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

impl Record {
    /// What it asks of each of its networks, by their names.
    pub(crate) fn joined(&self) -> Cow<'_, Joined> {
        match (&self.joined, Mode::of(&self.host_config)) {
            (Some(joined), _) => Cow::Borrowed(joined),
            (None, Mode::Bridge) => Cow::Owned(Joined::from([(
                "bridge".to_owned(),
                EndpointSettings::default(),
            )])),
            (None, _) => Cow::Owned(Joined::new()),
        }
    }

    /// Its process runs.
    pub(crate) fn started(&mut self, pid: u32, at: Timestamp, boot_id: String) {
        let state = &mut self.state;
        state.status = Status::Running;
        state.pid = pid;
        state.exit_code = 0;
        state.error.clear();
        state.oom_killed = false;
        state.started_at = at;
        state.health = crate::health::at_start(&self.config, state.health.take());
        state.oom = None;
        self.stopped_by_user = false;
        self.unhealthy = false;
        self.stays_down = false;
        self.boot_id = boot_id;
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            status: Status::Created,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            oom_killed: false,
            oom: None,
            started_at: Timestamp::ZERO,
            finished_at: Timestamp::ZERO,
            health: None,
        }
    }
}

impl State {
    /// Docker's `Running`: there is a process, frozen or not.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused)
    }

    /// Running, or about to be again.
    pub(crate) fn is_active(&self) -> bool {
        self.is_running() || self.status == Status::Restarting
    }
}

impl Stored for Record {
    const TABLE: &'static str = "containers";
}
