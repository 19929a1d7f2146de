//! What is to be done, as data: operations with their causes and what each waits for. Plans are made from a project and
//! from what an engine has of it, without asking anybody; [`crate::execute`] carries them out.

mod decide; // is a container still what the project says?
mod down; // everything goes
mod facts; // what a plan is made from
mod graph; // who waits for whom
mod images; // what must be pulled or built
mod lifecycle; // start, stop and the like
mod print; // a plan, as people read it
mod refresh; // how old an image may become
mod up; // the project, as its files say
mod wanted; // networks and volumes

#[cfg(test)]
mod tests;

use std::time::Duration;

use onggi_api::container::MountPoint;

pub use decide::differences;
pub use down::down;
pub use facts::{Facts, ImageFacts};
pub use images::{closure, images, named, pull};
pub use lifecycle::{kill, pause, remove, restart, start, stop, unpause};
pub use up::up;

use crate::service::Condition;

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The project.
    pub project: String,
    /// The containers that run and stay as they are.
    pub kept: Vec<Target>,
    /// The operations; each waits only for those before it.
    pub operations: Vec<Operation>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What.
    pub act: Act,
    /// Why.
    pub cause: String,
    /// What must be over before.
    pub after: Vec<After>,
}

/// That one operation waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// The other one, by its place in the plan.
    pub operation: usize,
    /// Must it have gone well?
    pub needed: bool,
}

/// A container that is there, or will be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The service it belongs to.
    pub service: String,
    /// Which one of its service it is.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its id, where it is known.
    pub id: Option<String>,
}

impl Target {
    /// How the engine is asked for it.
    pub fn reference(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }
}

/// A container that another takes the place of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replaced {
    /// The container.
    pub target: Target,
    /// Does it run?
    pub runs: bool,
    /// What it has mounted, for the volumes without a name.
    pub mounts: Vec<MountPoint>,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Pulls the image of a service.
    Pull {
        /// The service.
        service: String,
        /// The image.
        image: String,
        /// Its platform; empty for the engine's own.
        platform: String,
        /// May it fail?
        optional: bool,
    },
    /// Builds the image of a service.
    Build {
        /// The service.
        service: String,
        /// The image.
        image: String,
    },
    /// Makes a network.
    CreateNetwork {
        /// Its key in the project.
        key: String,
        /// Its name.
        name: String,
    },
    /// Removes a network.
    RemoveNetwork {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// Makes a volume.
    CreateVolume {
        /// Its key in the project.
        key: String,
        /// Its name.
        name: String,
    },
    /// Removes a volume.
    RemoveVolume {
        /// Its name.
        name: String,
    },
    /// Makes a container.
    Create {
        /// The container.
        target: Target,
        /// The one it follows, which is gone by then.
        inherits: Option<Box<Replaced>>,
    },
    /// Makes a container in the place of another: the other one is stopped and removed when the new one is made.
    Recreate {
        /// The container.
        target: Target,
        /// The other one.
        old: Box<Replaced>,
        /// How long the other one may take to end, in seconds.
        timeout: Option<i64>,
    },
    /// Makes and starts a container in the place of another, which ends when the new one works: published ports are moved.
    Replace {
        /// The container.
        target: Target,
        /// The other one.
        old: Box<Replaced>,
        /// How long the other one may take to end, in seconds.
        timeout: Option<i64>,
    },
    /// Gives a container its name.
    Rename {
        /// The container, under the name it gets.
        target: Target,
    },
    /// Moves published ports.
    MovePorts {
        /// The container that has them.
        from: Target,
        /// The container that gets them.
        to: Target,
    },
    /// Starts a container.
    Start {
        /// The container.
        target: Target,
    },
    /// Stops a container.
    Stop {
        /// The container.
        target: Target,
        /// How long it may take, in seconds.
        timeout: Option<i64>,
    },
    /// Stops and starts a container.
    Restart {
        /// The container.
        target: Target,
        /// How long it may take to end, in seconds.
        timeout: Option<i64>,
    },
    /// Sends a signal to a container.
    Kill {
        /// The container.
        target: Target,
        /// The signal.
        signal: String,
    },
    /// Freezes a container.
    Pause {
        /// The container.
        target: Target,
    },
    /// Lets a container go on.
    Unpause {
        /// The container.
        target: Target,
    },
    /// Removes a container.
    Remove {
        /// The container.
        target: Target,
        /// Its anonymous volumes, too.
        volumes: bool,
        /// Though it runs.
        force: bool,
    },
    /// Waits until the containers of a service are what others need.
    Await {
        /// The service.
        service: String,
        /// Its containers.
        targets: Vec<Target>,
        /// What for.
        condition: Awaited,
        /// How long that may take.
        limit: Option<Duration>,
    },
    /// Removes an image.
    RemoveImage {
        /// Its name.
        name: String,
    },
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// What a dependency asks for.
    Condition(Condition),
    /// That it runs, and is healthy if it has a health check: `--wait`.
    Ready,
}

impl Plan {
    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Adds an operation; gives its place.
    pub(crate) fn push(&mut self, act: Act, cause: impl Into<String>, after: Vec<After>) -> usize {
        let mut after = after;
        after.sort_by_key(|after| (after.operation, !after.needed));
        after.dedup_by_key(|after| after.operation);
        self.operations.push(Operation {
            act,
            cause: cause.into(),
            after,
        });
        self.operations.len() - 1
    }
}

/// Waits for operations that must go well.
pub(crate) fn needed(operations: impl IntoIterator<Item = usize>) -> Vec<After> {
    let after = |operation| After {
        operation,
        needed: true,
    };
    operations.into_iter().map(after).collect()
}
