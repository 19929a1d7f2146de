//! `POST /images/prune`.

use crate::call::{Call, Reply, json, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, filters) = (call.engine.clone(), call.filters()?);
    let prune = async move { engine.image_prune(filters).await };
    json(&owned("prune images", prune).await?)
}
