//! `DELETE /networks/{id}`.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, name) = (call.engine.clone(), call.id().to_owned());
    let remove = async move { engine.network_remove(&name).await };
    owned("remove a network", remove).await?;
    status(StatusCode::NO_CONTENT)
}
