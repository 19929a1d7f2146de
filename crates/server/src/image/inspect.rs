//! `GET /images/{name}/json`.

use super::compat;
use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    call.refuse(&["manifests"])?;
    let platform = call.given("platform");
    let inspect = call.engine.image_inspect(call.name(), platform).await?;
    let driver = if call.before(1, 52) {
        call.engine.info().await?.driver
    } else {
        String::new()
    };
    json(&compat::inspect(&inspect, call.version, &driver))
}
