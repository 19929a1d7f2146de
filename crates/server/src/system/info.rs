//! `GET /info`.

use super::compat;
use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let info = call.engine.info().await?;
    json(&compat::info(&info, call.version))
}
