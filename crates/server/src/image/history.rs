//! `GET /images/{name}/history`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    call.refuse(&["platform"])?;
    json(&call.engine.image_history(call.name()).await?)
}
