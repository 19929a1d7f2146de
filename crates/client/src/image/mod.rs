//! Images, one file a verb.

mod distribution;
mod history;
mod import;
mod inspect;
mod list;
mod load;
mod pull;
mod push;
mod remove;
mod save;
mod search;
mod tag;

pub use import::Import;
pub use pull::Pull;
pub use remove::Remove;
