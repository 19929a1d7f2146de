//! `POST /containers/{id}/pause`.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id) = (call.engine.clone(), call.id().to_owned());
    let pause = async move { engine.container_pause(&id).await };
    owned("pause a container", pause).await?;
    status(StatusCode::NO_CONTENT)
}
