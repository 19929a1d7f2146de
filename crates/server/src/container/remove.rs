//! `DELETE /containers/{id}`.

use http::StatusCode;
use onggi_api::container::RemoveOptions;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id) = (call.engine.clone(), call.id().to_owned());
    let options = RemoveOptions {
        force: call.flag("force"),
        volumes: call.flag("v"),
        link: call.flag("link"),
    };
    let remove = async move { engine.container_remove(&id, options).await };
    owned("remove a container", remove).await?;
    status(StatusCode::NO_CONTENT)
}
