//! The daemon itself, one file a verb.

mod adopt; // ours alone
mod auth;
mod check;
mod events;
mod info;
mod object; // objects of other kinds, for inspect
mod usage; // room on disk, and making some
mod version;

pub use check::Check;
pub use events::Events;
