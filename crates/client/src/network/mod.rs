//! Networks, one file a verb.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod list;
mod remove;
