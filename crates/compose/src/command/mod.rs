//! The commands that change something: what each can be told. [`crate::Compose`] carries them out.

use std::collections::BTreeMap;
use std::time::Duration;

/// When containers are made anew though nothing says so, or kept though something does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recreate {
    /// When they are no longer what the project says.
    #[default]
    Diverged,
    /// Always.
    Force,
    /// Never.
    Never,
}

/// When images are pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// As each service says.
    #[default]
    Policy,
    /// Always.
    Always,
    /// When they are not there.
    Missing,
    /// Never.
    Never,
    /// Images that can be built are built.
    Build,
}

/// `up`, and `create`, which does not start.
#[derive(Clone, Debug, Default)]
pub struct Up {
    /// Only these services, and what they need.
    pub services: Vec<String>,
    /// Are containers made anew?
    pub recreate: Recreate,
    /// Are containers of services that others need made anew?
    pub recreate_dependencies: Recreate,
    /// Leave alone what the services need.
    pub no_deps: bool,
    /// Make containers, and leave them there.
    pub no_start: bool,
    /// Do anonymous volumes begin empty?
    pub renew_anon_volumes: bool,
    /// Remove containers of services that the project does not have.
    pub remove_orphans: bool,
    /// How many containers a service has.
    pub scale: BTreeMap<String, u32>,
    /// How long containers may take to end, in seconds.
    pub timeout: Option<i64>,
    /// Wait until everything runs, and is healthy.
    pub wait: bool,
    /// How long that may take.
    pub wait_timeout: Option<Duration>,
    /// When images are pulled.
    pub pull: Pull,
    /// Build images though they are there.
    pub build: bool,
    /// Do not build.
    pub no_build: bool,
    /// A service that only gets what it needs: a container of `run` follows.
    pub prepare: Option<String>,
}

/// `down`
#[derive(Clone, Debug, Default)]
pub struct Down {
    /// Only these services.
    pub services: Vec<String>,
    /// Remove containers of services that the project does not have.
    pub remove_orphans: bool,
    /// Remove volumes, too.
    pub volumes: bool,
    /// Remove images, too.
    pub images: Rmi,
    /// How long containers may take to end, in seconds.
    pub timeout: Option<i64>,
}

/// Which images `down` removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rmi {
    /// None.
    #[default]
    None,
    /// Those that the project made names for.
    Local,
    /// All.
    All,
}

/// `start`
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Only these services, and what they need.
    pub services: Vec<String>,
    /// Wait until everything runs, and is healthy.
    pub wait: bool,
    /// How long that may take.
    pub wait_timeout: Option<Duration>,
}

/// `stop`
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Only these services.
    pub services: Vec<String>,
    /// How long containers may take to end, in seconds.
    pub timeout: Option<i64>,
}

/// `restart`
#[derive(Clone, Debug, Default)]
pub struct Restart {
    /// Only these services.
    pub services: Vec<String>,
    /// Leave those alone that want to be restarted with them.
    pub no_deps: bool,
    /// How long containers may take to end, in seconds.
    pub timeout: Option<i64>,
}

/// `kill`
#[derive(Clone, Debug, Default)]
pub struct Kill {
    /// Only these services.
    pub services: Vec<String>,
    /// The signal; empty is KILL.
    pub signal: String,
    /// Those of services that the project does not have, too.
    pub remove_orphans: bool,
}

/// `rm`
#[derive(Clone, Debug, Default)]
pub struct Remove {
    /// Only these services.
    pub services: Vec<String>,
    /// Stop those that run.
    pub stop: bool,
    /// Their anonymous volumes, too.
    pub volumes: bool,
}

/// `pause`
#[derive(Clone, Debug, Default)]
pub struct Pause {
    /// Only these services.
    pub services: Vec<String>,
}

/// `unpause`
#[derive(Clone, Debug, Default)]
pub struct Unpause {
    /// Only these services.
    pub services: Vec<String>,
}

/// `pull`
#[derive(Clone, Debug, Default)]
pub struct PullImages {
    /// Only these services.
    pub services: Vec<String>,
    /// What they need, too.
    pub include_deps: bool,
    /// Leave out what can be built.
    pub ignore_buildable: bool,
    /// Go on where one cannot be pulled.
    pub ignore_failures: bool,
    /// When images are pulled.
    pub policy: Pull,
}

/// `build`
#[derive(Clone, Debug, Default)]
pub struct BuildImages {
    /// Only these services.
    pub services: Vec<String>,
    /// What they need, too.
    pub with_dependencies: bool,
}

/// `run`
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The service.
    pub service: String,
    /// Another command than the service's.
    pub command: Vec<String>,
    /// Another entrypoint than the service's.
    pub entrypoint: Option<Vec<String>>,
    /// Variables, over those of the service; without a value they are taken away.
    pub environment: BTreeMap<String, Option<String>>,
    /// Labels, over those of the service.
    pub labels: BTreeMap<String, String>,
    /// Another user than the service's.
    pub user: Option<String>,
    /// Another folder than the service's.
    pub working_dir: Option<String>,
    /// Mounts beside those of the service.
    pub volumes: Vec<crate::service::VolumeMount>,
    /// Ports that are published.
    pub ports: Vec<crate::service::Port>,
    /// The service's own ports are published, too.
    pub service_ports: bool,
    /// It answers to the service's names in its networks.
    pub use_aliases: bool,
    /// A name of its own.
    pub name: Option<String>,
    /// It is removed when it ends.
    pub remove: bool,
    /// It has a terminal.
    pub tty: bool,
    /// Somebody is attached to its standard input.
    pub interactive: bool,
    /// Capabilities it gets.
    pub cap_add: Vec<String>,
    /// Capabilities it loses.
    pub cap_drop: Vec<String>,
    /// How what it needs is brought up: `no_deps`, `pull`, `build`, `remove_orphans`.
    pub up: Up,
}
