//! `GET /networks`.

use super::inspect::whole;
use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let found = call.engine.network_list(call.filters()?).await?;
    if !call.before(1, 28) {
        return json(&found);
    }
    // The containers in each came with it. A network that went meanwhile is left out.
    let mut list = Vec::new();
    for network in &found {
        if let Ok(network) = whole(&call, &network.network.id).await {
            list.push(network);
        }
    }
    json(&list)
}
