//! `GET /distribution/{name}/json`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    json(&call.engine.distribution(call.name(), call.auth()).await?)
}
