//! `GET /volumes/{name}/export`: ours alone.

use http::StatusCode;
use onggi_http::body;

use crate::call::{Call, Reply, typed};

pub(crate) async fn handle(call: Call) -> Reply {
    let chunks = call.engine.volume_export(call.name()).await?;
    Ok(typed(
        StatusCode::OK,
        "application/x-tar",
        body::fallible(chunks),
    ))
}
