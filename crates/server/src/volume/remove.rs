//! `DELETE /volumes/{name}`.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, name) = (call.engine.clone(), call.name().to_owned());
    let force = call.flag("force");
    let remove = async move { engine.volume_remove(&name, force).await };
    owned("remove a volume", remove).await?;
    status(StatusCode::NO_CONTENT)
}
