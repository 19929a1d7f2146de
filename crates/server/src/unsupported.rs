//! Docker's endpoints that are not there yet: each answers 501 and says so, after reading nothing.

use onggi_http::{Route, delete, get, post};

use crate::call::{Call, Reply};
use crate::failure::Failure;

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("images/{name...}/attestations", &handle),
    get("plugins/privileges", &handle),
    post("plugins/pull", &handle),
    delete("plugins/{name...}", &handle),
    post("plugins/{name...}/enable", &handle),
    post("plugins/{name...}/disable", &handle),
    post("plugins/{name...}/upgrade", &handle),
    post("plugins/create", &handle),
    post("plugins/{name...}/push", &handle),
    post("plugins/{name...}/set", &handle),
    get("nodes", &handle),
    get("nodes/{id}", &handle),
    delete("nodes/{id}", &handle),
    post("nodes/{id}/update", &handle),
    get("swarm", &handle),
    post("swarm/init", &handle),
    post("swarm/join", &handle),
    post("swarm/leave", &handle),
    post("swarm/update", &handle),
    get("swarm/unlockkey", &handle),
    post("swarm/unlock", &handle),
    get("services", &handle),
    post("services/create", &handle),
    get("services/{id}", &handle),
    delete("services/{id}", &handle),
    post("services/{id}/update", &handle),
    get("services/{id}/logs", &handle),
    get("tasks", &handle),
    get("tasks/{id}", &handle),
    get("tasks/{id}/logs", &handle),
    get("secrets", &handle),
    post("secrets/create", &handle),
    get("secrets/{id}", &handle),
    delete("secrets/{id}", &handle),
    post("secrets/{id}/update", &handle),
    get("configs", &handle),
    post("configs/create", &handle),
    get("configs/{id}", &handle),
    delete("configs/{id}", &handle),
    post("configs/{id}/update", &handle),
    post("session", &buildkit),
    post("grpc", &buildkit),
];

async fn handle(call: Call) -> Reply {
    Err(Failure::not_implemented(format!(
        "{} is not there yet in onggi",
        call.endpoint
    )))
}

/// What buildx asks for.
async fn buildkit(_: Call) -> Reply {
    Err(Failure::not_implemented(
        "BuildKit's protocol is not there yet in onggi: build with \"onggi build\", or set DOCKER_BUILDKIT=0 for docker",
    ))
}
