//! The store: one transactional catalogue that owns every byte under the data root, and the content-addressed blobs.
//!
//! How layers become root file systems is `snapshot`'s business, how they are filled `archive`'s, what an image means
//! `image`'s. What is kept true here: after `kill -9` or a power cut every image, layer and blob is whole or absent,
//! and nothing lies on the disk that the catalogue does not know.

mod backend;
mod blob;
mod catalogue;
mod check;
mod collect;
mod draft;
mod error;
mod image;
mod layer;
mod lease;
mod lock;
mod partial;
mod repair;
mod root;
mod step;
mod store;
mod sweep;
mod usage;

pub use blob::Ingest;
pub use catalogue::{ReadTx, Record, WriteTx};
pub use check::{Depth, Problem, Report};
pub use collect::Collected;
pub use error::Error;
pub use image::{ImageRecord, RemovedImage};
pub use layer::{ChainId, LayerRecord, StagedLayer};
pub use lease::Lease;
pub use partial::Partial;
pub use root::RootRecord;
pub use step::{StepLayer, StepRecord};
pub use store::Store;
pub use sweep::Sweeper;
pub use usage::Usage;
