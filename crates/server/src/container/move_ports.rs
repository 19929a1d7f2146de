//! `POST /containers/{id}/ports/move`: onggi's alone.

use onggi_api::container::MovePortsRequest;

use crate::call::{Call, Reply, json, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id) = (call.engine.clone(), call.id().to_owned());
    let request: MovePortsRequest = call.json().await?;
    let moved = async move { engine.container_move_ports(&id, request).await };
    json(&owned("move ports", moved).await?)
}
