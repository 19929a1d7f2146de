//! Plugins of the daemon: there are none, and none can be installed yet. What looks for one is told so in Docker's words.

use onggi_http::{Route, get};
use onggi_model::ErrorKind;

use crate::call::{Call, Reply, json};
use crate::failure::Failure;

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("plugins", &list),
    get("plugins/{name...}/json", &inspect),
];

async fn list(_: Call) -> Reply {
    json(&[(); 0])
}

async fn inspect(call: Call) -> Reply {
    let text = format!("plugin \"{}\" not found", call.name());
    Err(Failure::new(ErrorKind::NotFound, text))
}
