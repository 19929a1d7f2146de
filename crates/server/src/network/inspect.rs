//! `GET /networks/{id}`.

use super::compat;
use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let network = call.engine.network_inspect(call.id()).await?;
    json(&compat::inspect(network, call.version))
}
