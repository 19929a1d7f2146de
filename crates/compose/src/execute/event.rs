//! What is told while a plan is carried out.

use crate::plan::Act;

/// Something that happened to something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it happened to.
    pub thing: Thing,
    /// Its name.
    pub name: String,
    /// What happened.
    pub word: Word,
    /// More about it: why it failed, what a layer does.
    pub text: String,
    /// How far it is.
    pub progress: Option<Progress>,
}

/// How far something is, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which part of it.
    pub part: String,
    /// So far.
    pub current: u64,
    /// Of so much; 0 where nobody knows.
    pub total: u64,
}

/// What things happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thing {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An image.
    Image,
    /// A service.
    Service,
}

impl Thing {
    /// Docker Compose's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "Container",
            Self::Network => "Network",
            Self::Volume => "Volume",
            Self::Image => "Image",
            Self::Service => "Service",
        }
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the words are Docker Compose's, and mean what they say"
)]
pub enum Word {
    Pulling,
    Pulled,
    Building,
    Built,
    Creating,
    Created,
    Recreate,
    Recreated,
    Starting,
    Started,
    Running,
    Waiting,
    Healthy,
    Exited,
    Stopping,
    Stopped,
    Restarting,
    Restarted,
    Killing,
    Killed,
    Pausing,
    Paused,
    Unpausing,
    Unpaused,
    Removing,
    Removed,
    Warning,
    Error,
}

impl Word {
    /// Docker Compose's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pulling => "Pulling",
            Self::Pulled => "Pulled",
            Self::Building => "Building",
            Self::Built => "Built",
            Self::Creating => "Creating",
            Self::Created => "Created",
            Self::Recreate => "Recreate",
            Self::Recreated => "Recreated",
            Self::Starting => "Starting",
            Self::Started | Self::Restarted => "Started",
            Self::Running => "Running",
            Self::Waiting => "Waiting",
            Self::Healthy => "Healthy",
            Self::Exited => "Exited",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Restarting => "Restarting",
            Self::Killing => "Killing",
            Self::Killed => "Killed",
            Self::Pausing => "Pausing",
            Self::Paused => "Paused",
            Self::Unpausing => "Unpausing",
            Self::Unpaused => "Unpaused",
            Self::Removing => "Removing",
            Self::Removed => "Removed",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }

    /// Is it over with that?
    pub fn is_last(self) -> bool {
        !matches!(
            self,
            Self::Pulling
                | Self::Building
                | Self::Creating
                | Self::Recreate
                | Self::Starting
                | Self::Waiting
                | Self::Stopping
                | Self::Restarting
                | Self::Killing
                | Self::Pausing
                | Self::Unpausing
                | Self::Removing
        )
    }
}

/// What an operation is about.
pub(super) fn subject(act: &Act) -> (Thing, String) {
    match act {
        Act::Pull { image, .. } | Act::Build { image, .. } => (Thing::Image, image.clone()),
        Act::RemoveImage { name } => (Thing::Image, name.clone()),
        Act::CreateNetwork { name, .. } | Act::RemoveNetwork { name, .. } => {
            (Thing::Network, name.clone())
        }
        Act::CreateVolume { name, .. } | Act::RemoveVolume { name } => {
            (Thing::Volume, name.clone())
        }
        Act::Await { service, .. } => (Thing::Service, service.clone()),
        Act::MovePorts { to: target, .. }
        | Act::Create { target, .. }
        | Act::Recreate { target, .. }
        | Act::Replace { target, .. }
        | Act::Rename { target }
        | Act::Start { target }
        | Act::Stop { target, .. }
        | Act::Restart { target, .. }
        | Act::Kill { target, .. }
        | Act::Pause { target }
        | Act::Unpause { target }
        | Act::Remove { target, .. } => (Thing::Container, target.name.clone()),
    }
}
