//! `GET /build/history`, `GET /build/history/{id}`, its `/logs`, and `DELETE`: what builds were done. Ours.

use http::StatusCode;
use onggi_http::body;

use crate::call::{Call, Reply, json, status, typed};

pub(crate) async fn list(call: Call) -> Reply {
    json(&call.engine.build_history().await?)
}

pub(crate) async fn inspect(call: Call) -> Reply {
    json(&call.engine.build_record(call.id()).await?)
}

pub(crate) async fn logs(call: Call) -> Reply {
    let log = call.engine.build_log(call.id()).await?;
    Ok(typed(
        StatusCode::OK,
        "application/x-ndjson",
        body::full(log),
    ))
}

pub(crate) async fn remove(call: Call) -> Reply {
    call.engine.build_forget(call.id()).await?;
    status(StatusCode::NO_CONTENT)
}
