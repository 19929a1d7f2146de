//! Images.

pub(crate) mod compat; // before 1.55
mod create;
mod history;
mod inspect;
mod list;
mod load;
mod remove;
mod tag;

use onggi_http::{Route, delete, get, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("images/json", &list::handle),
    post("images/create", &create::handle),
    post("images/load", &load::handle),
    get("images/{name...}/json", &inspect::handle),
    get("images/{name...}/history", &history::handle),
    post("images/{name...}/tag", &tag::handle),
    delete("images/{name...}", &remove::handle),
];

/// Whether progress messages have the fields that 1.52 dropped. A client that names no version gets both.
fn legacy(call: &Call) -> bool {
    call.before(1, 52) || !call.versioned
}
