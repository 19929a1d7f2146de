//! Volumes.

mod compat; // before 1.55
mod create;
mod inspect;
mod list;
mod prune;
mod remove;

use onggi_http::{Route, delete, get, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("volumes", &list::handle),
    post("volumes/create", &create::handle),
    post("volumes/prune", &prune::handle),
    get("volumes/{name}", &inspect::handle),
    delete("volumes/{name}", &remove::handle),
];
