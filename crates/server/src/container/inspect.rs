//! `GET /containers/{id}/json`.

use super::compat;
use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let inspect = call
        .engine
        .container_inspect(call.id(), call.flag("size"))
        .await?;
    json(&compat::inspect(&inspect, call.version))
}
