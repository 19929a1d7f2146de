//! `POST /containers/{id}/start`.

use http::header::CONTENT_LENGTH;

use super::changed;
use crate::call::{Call, Reply, owned};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    // Before 1.24 a body changed the container at its start. `{}` and `null` are let through, as by dockerd.
    let length = call
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if length
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|length| length > 7)
    {
        return Err(Failure::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    let (engine, id, keys) = (
        call.engine.clone(),
        call.id().to_owned(),
        call.given("detachKeys"),
    );
    let start = async move { engine.container_start(&id, keys.as_deref()).await };
    changed(owned("start a container", start).await?)
}
