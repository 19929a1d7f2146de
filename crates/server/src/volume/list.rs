//! `GET /volumes`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    json(&call.engine.volume_list(call.filters()?).await?)
}
