//! Volumes: directories that outlive containers, at `<data root>/volumes/NAME/_data`, by the driver `local`.
//!
//! Not here: which mount of which container means which volume, and events (`engine`); what is copied into a new one
//! (`snapshot`). What is kept true: after `kill -9` a volume is whole or absent, a removal that was not answered has not
//! happened, and a volume that somebody holds is not removed.

mod check; // catalogue, memory and disk compared
mod error; // what can go wrong, in Docker's words
mod fill; // the first content of an empty volume
mod import; // its files handed out and brought in as a whole
mod local; // options of the driver: file systems of others, mounted here
mod record; // what the catalogue keeps
mod recover; // what an earlier daemon left
mod rename; // another name
mod usage; // how much a volume holds
mod volumes; // the whole, as the engine uses it

pub use check::Defect;
pub use error::{Error, Result};
pub use import::FOREIGN as FOREIGN_IMPORTS;
pub use record::{ANONYMOUS_LABEL, DRIVER, NewVolume, Volume};
pub use volumes::{Created, Doomed, Maker, Volumes};
