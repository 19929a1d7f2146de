//! `GET /images/{name}/history`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let platform = call.given("platform").filter(|_| !call.before(1, 48));
    json(&call.engine.image_history(call.name(), platform).await?)
}
