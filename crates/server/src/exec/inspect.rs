//! `GET /exec/{id}/json`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    json(&call.engine.exec_inspect(call.id()).await?)
}
