//! Networks: those that every host has. Making and removing others is not there yet.

mod compat; // before 1.55
mod inspect;
mod list;
mod prune;

use onggi_http::{Route, get, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("networks", &list::handle),
    post("networks/prune", &prune::handle),
    get("networks/{id}", &inspect::handle),
];
