//! Volumes.

mod compat; // before 1.55
mod create;
mod export;
mod import;
mod inspect;
mod list;
mod prune;
mod remove;
mod rename;
mod update;

use onggi_http::{Route, delete, get, post, put};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("volumes", &list::handle),
    post("volumes/create", &create::handle),
    post("volumes/prune", &prune::handle),
    get("volumes/{name}", &inspect::handle),
    put("volumes/{name}", &update::handle).since(1, 42),
    delete("volumes/{name}", &remove::handle),
    get("volumes/{name}/export", &export::handle),
    post("volumes/{name}/import", &import::handle),
    post("volumes/{name}/rename", &rename::handle),
];
