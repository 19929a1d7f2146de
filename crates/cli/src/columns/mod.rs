//! Columns of lists, one file a kind of object.

pub(crate) mod container;
pub(crate) mod exposure;
pub(crate) mod history;
pub(crate) mod image;
pub(crate) mod network;
pub(crate) mod ports; // ports for people
pub(crate) mod search;
pub(crate) mod stats;
pub(crate) mod usage; // what takes how much room
pub(crate) mod volume;
