//! `GET /containers/{id}/top`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let arguments = call.query.text("ps_args");
    json(&call.engine.container_top(call.id(), arguments).await?)
}
