//! Processes started in running containers, one file a verb.

mod create;
mod inspect;
mod resize;
mod start;
