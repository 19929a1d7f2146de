//! Builds.

mod create; // a context in, an image out
mod history; // what builds were done
mod prune; // what is known of builds, forgotten

use onggi_http::{Route, delete, get, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    post("build", &create::handle),
    post("build/prune", &prune::handle),
    get("build/history", &history::list),
    get("build/history/{id}", &history::inspect),
    get("build/history/{id}/logs", &history::logs),
    delete("build/history/{id}", &history::remove),
];
