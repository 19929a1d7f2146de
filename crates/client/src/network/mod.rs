//! Networks, one file a verb.

mod inspect;
mod list;
