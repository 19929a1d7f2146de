//! `POST /containers/{id}/rename`.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id) = (call.engine.clone(), call.id().to_owned());
    let name = call.query.text("name").to_owned();
    let rename = async move { engine.container_rename(&id, &name).await };
    owned("rename a container", rename).await?;
    status(StatusCode::NO_CONTENT)
}
