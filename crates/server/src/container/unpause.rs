//! `POST /containers/{id}/unpause`.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id) = (call.engine.clone(), call.id().to_owned());
    let unpause = async move { engine.container_unpause(&id).await };
    owned("unpause a container", unpause).await?;
    status(StatusCode::NO_CONTENT)
}
