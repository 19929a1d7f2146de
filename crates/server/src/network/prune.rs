//! `POST /networks/prune`.

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    json(&call.engine.network_prune(&call.filters()?).await?)
}
