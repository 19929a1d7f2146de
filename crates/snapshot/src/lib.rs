//! Root file systems from layers: which directories a container's root is made of, and the life of its upper one.
//!
//! Nothing is mounted here, ever: the runtime mounts inside the container's own mount namespace. Which layers and roots
//! there are is the store's knowledge; what is inside a layer `archive` wrote.

mod compare;
mod copy;
mod driver;
mod error;
mod furnish; // what every container has
mod inherit;
mod scratch; // a root for files alone
mod seed;
mod snapshots;
mod usage;

pub use compare::{Difference, difference};
pub use driver::Driver;
pub use error::Error;
pub use scratch::Scratch;
pub use seed::Seed;
pub use snapshots::{LayerCommit, LayerDir, PreparedRoot, Rootfs, Snapshots, copy_tree};
