//! `POST /containers/{id}/restart`.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id) = (call.engine.clone(), call.id().to_owned());
    let (signal, timeout) = (call.given("signal"), call.number("t")?);
    let restart = async move { engine.container_restart(&id, signal, timeout).await };
    owned("restart a container", restart).await?;
    status(StatusCode::NO_CONTENT)
}
