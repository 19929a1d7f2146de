//! `POST /containers/{id}/update`.

use onggi_api::container::UpdateRequest;

use super::compat;
use crate::call::{Call, Reply, json, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id, version) = (call.engine.clone(), call.id().to_owned(), call.version);
    let mut request: UpdateRequest = call.json().await?;
    compat::update_request(&mut request, version);
    let update = async move { engine.container_update(&id, request).await };
    json(&owned("update a container", update).await?)
}
