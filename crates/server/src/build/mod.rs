//! Builds.

mod create; // a context in, an image out
mod prune; // what is known of builds, forgotten

use onggi_http::{Route, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    post("build", &create::handle),
    post("build/prune", &prune::handle),
];
