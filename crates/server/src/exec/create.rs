//! `POST /containers/{id}/exec`.

use http::StatusCode;
use onggi_api::exec::CreateRequest;

use crate::call::{Call, Reply, json_with};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id) = (call.engine.clone(), call.id().to_owned());
    let request: CreateRequest = call.json().await?;
    let response = engine.exec_create(&id, request).await?;
    json_with(StatusCode::CREATED, &response)
}
