//! Networks.

mod compat; // before 1.55
mod connect;
mod create;
mod disconnect;
pub(crate) mod exposure;
mod inspect;
mod list;
mod prune;
mod remove;

pub(crate) use compat::container_request;

use onggi_http::{Route, delete, get, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("networks", &list::handle),
    // The one list that Docker gives by this path too.
    get("networks/", &list::handle),
    post("networks/create", &create::handle),
    post("networks/prune", &prune::handle),
    get("networks/{id}", &inspect::handle),
    get("networks/{id}/exposure", &exposure::of_network),
    delete("networks/{id}", &remove::handle),
    post("networks/{id}/connect", &connect::handle),
    post("networks/{id}/disconnect", &disconnect::handle),
];
