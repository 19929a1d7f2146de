//! `GET /volumes/{name}`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    json(&call.engine.volume_inspect(call.name()).await?)
}
