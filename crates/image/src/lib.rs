//! Pull, push, load, save, import, commit, tag, list, remove.
//!
//! What an image is to Docker's users, over the bytes that `store` keeps, the directories that `snapshot`
//! names and the tars that `archive` unpacks. Who uses an image is not known here: the engine says it where
//! it matters.
//!
//! Kept true: an image is there whole or not at all (one transaction); what a failed or abandoned operation
//! wrote goes with its lease; the ID is the configuration's digest; index and manifest bytes stay as they came.

mod adopt; // images of another engine on this disk
mod bring; // single layers from a registry
mod change; // the instructions of `import --change`
mod check; // every layer against its blob
mod commit; // a container's changes as one more layer
mod document; // manifests for images that came without one
mod error; // what can go wrong, in Docker's words
mod glob; // Go's path.Match, for the filter `reference`
mod images; // the entry, and finding an image by any of its names
mod import; // a tar becomes an image of one layer
mod jobs; // layers on their way, each fetched once
mod list; // filters, history
mod load; // archives of `docker save` and OCI layouts
mod made; // layers made here, images put together of layers
mod manifests; // those an image has, and what of them is here
mod parts; // what is given away
mod progress; // what is told while it happens
mod pull; // from a registry
mod pull_all; // all tags of a repository
mod push; // to a registry
mod remove; // untag or delete
mod save; // archives of `docker save`
mod slots; // how many transfers at a time
mod unpack; // one pass: keep, hash, inflate, hash, apply

pub use adopt::{Adopted, Foreign, Tar, id_of};
pub use bring::Missing;
pub use change::{apply as change, configure};
pub use check::{BrokenLayer, LayerRepair, LayerReport};
pub use commit::Commit;
pub use error::Error;
pub use images::{Image, Images, Options};
pub use import::Import;
pub use list::HistoryEntry;
pub use load::Loaded;
pub use made::{Assembly, Layer, Moved};
pub use manifests::{ImageManifest, ManifestKind};
pub use progress::Progress;
pub use pull::Pulled;
pub use remove::{Deleted, RemoveOptions, Use};
pub use save::Saving;
