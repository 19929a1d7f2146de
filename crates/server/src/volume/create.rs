//! `POST /volumes/create`.

use http::StatusCode;
use onggi_api::volume::CreateRequest;

use crate::call::{Call, Reply, json_with, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let engine = call.engine.clone();
    let request: CreateRequest = call.json().await?;
    let create = async move { engine.volume_create(request).await };
    let volume = owned("create a volume", create).await?;
    json_with(StatusCode::CREATED, &volume)
}
