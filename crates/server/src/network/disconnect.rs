//! `POST /networks/{id}/disconnect`.

use http::StatusCode;
use onggi_api::network::DisconnectRequest;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, name) = (call.engine.clone(), call.id().to_owned());
    let request: DisconnectRequest = call.json().await?;
    let disconnect = async move { engine.network_disconnect(&name, request).await };
    owned("disconnect a container from a network", disconnect).await?;
    status(StatusCode::OK)
}
