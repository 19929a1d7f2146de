//! Builds: what they leave behind. Building itself is not there yet, so that there is no cache to remove anything of.

use onggi_http::{Route, post};

use crate::call::{Call, Reply, json};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[post("build/prune", &prune)];

/// `POST /build/prune`.
async fn prune(call: Call) -> Reply {
    json(&call.engine.build_prune(&call.filters()?)?)
}
