//! `GET /images/{name}/json`.

use super::compat;
use crate::call::{Call, Reply, json};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let manifests = call.flag("manifests") && !call.before(1, 48);
    let platform = call.given("platform").filter(|_| !call.before(1, 49));
    if manifests && platform.is_some() {
        return Err(Failure::invalid(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let inspect = call
        .engine
        .image_inspect(call.name(), platform, manifests)
        .await?;
    let driver = if call.before(1, 52) {
        call.engine.info().await?.driver
    } else {
        String::new()
    };
    json(&compat::inspect(&inspect, call.version, &driver))
}
