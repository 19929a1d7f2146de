//! `GET /containers/{id}/export`.

use http::StatusCode;
use onggi_http::body;

use crate::call::{Call, Reply, typed};

pub(crate) async fn handle(call: Call) -> Reply {
    let chunks = call.engine.container_export(call.id()).await?;
    Ok(typed(
        StatusCode::OK,
        "application/octet-stream",
        body::fallible(chunks),
    ))
}
