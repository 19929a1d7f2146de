//! The daemon itself, one file a verb.

mod events;
mod info;
mod object; // objects of other kinds, for inspect
mod version;

pub use events::Events;
