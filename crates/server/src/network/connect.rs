//! `POST /networks/{id}/connect`.

use http::StatusCode;
use onggi_api::network::ConnectRequest;

use super::compat;
use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, version) = (call.engine.clone(), call.version);
    let name = call.id().to_owned();
    let mut request: ConnectRequest = call.json().await?;
    if let Some(endpoint) = &mut request.endpoint_config {
        compat::endpoint_request(endpoint, version);
    }
    let connect = async move { engine.network_connect(&name, request).await };
    owned("connect a container to a network", connect).await?;
    status(StatusCode::OK)
}
