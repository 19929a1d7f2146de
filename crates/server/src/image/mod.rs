//! Images.

pub(crate) mod compat; // before 1.55
mod create;
mod distribution;
mod history;
mod inspect;
mod list;
mod load;
mod prune;
mod push;
mod remove;
mod save;
mod search;
mod tag;

use onggi_http::{Route, delete, get, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("images/json", &list::handle),
    post("images/create", &create::handle),
    get("images/search", &search::handle),
    post("images/load", &load::handle),
    get("images/{name...}/json", &inspect::handle),
    get("images/{name...}/history", &history::handle),
    post("images/{name...}/tag", &tag::handle),
    get("images/get", &save::several),
    get("images/{name...}/get", &save::one),
    post("images/{name...}/push", &push::handle),
    post("images/prune", &prune::handle).since(1, 25),
    delete("images/{name...}", &remove::handle),
    get("distribution/{name...}/json", &distribution::handle).since(1, 30),
];

/// Whether progress messages have the fields that 1.52 dropped. A client that names no version gets both.
fn legacy(call: &Call) -> bool {
    call.before(1, 52) || !call.versioned
}
