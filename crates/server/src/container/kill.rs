//! `POST /containers/{id}/kill`.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id, signal) = (
        call.engine.clone(),
        call.id().to_owned(),
        call.given("signal"),
    );
    let kill = async move { engine.container_kill(&id, signal).await };
    owned("kill a container", kill).await?;
    status(StatusCode::NO_CONTENT)
}
