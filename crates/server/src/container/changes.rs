//! `GET /containers/{id}/changes`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let changes = call.engine.container_changes(call.id()).await?;
    // Go's empty list.
    json(&Some(changes).filter(|changes| !changes.is_empty()))
}
