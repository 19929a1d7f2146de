//! `POST /networks/create`.

use http::StatusCode;
use onggi_api::network::CreateRequest;

use super::compat;
use crate::call::{Call, Reply, json_with, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, version) = (call.engine.clone(), call.version);
    let mut request: CreateRequest = call.json().await?;
    compat::create_request(&mut request, version);
    let create = async move { engine.network_create(request).await };
    let made = owned("create a network", create).await?;
    json_with(StatusCode::CREATED, &made)
}
