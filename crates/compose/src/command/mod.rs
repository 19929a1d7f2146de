//! The commands that change something: what each can be told. [`crate::Engine`] carries them out.

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
