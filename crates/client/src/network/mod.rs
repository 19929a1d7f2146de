//! Networks, one file a verb.

mod connect;
mod create;
mod disconnect;
mod exposure;
mod inspect;
mod list;
mod remove;
