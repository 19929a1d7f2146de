//! `POST /build/prune`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let all = call.flag("all");
    json(&call.engine.build_prune(&call.filters()?, all)?)
}
