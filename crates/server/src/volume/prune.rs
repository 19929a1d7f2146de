//! `POST /volumes/prune`.

use super::compat;
use crate::call::{Call, Reply, json, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let mut filters = call.filters()?;
    compat::prune_filters(&mut filters, call.version);
    let engine = call.engine.clone();
    let prune = async move { engine.volume_prune(filters).await };
    json(&owned("prune volumes", prune).await?)
}
