//! Volumes, one file a verb.

mod create;
mod list;
mod prune;
mod remove;
mod transfer;
