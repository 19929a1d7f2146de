//! `POST /volumes/{name}/rename?name=NEW`: ours alone.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, name) = (call.engine.clone(), call.name().to_owned());
    let to = call.query.text("name").to_owned();
    let rename = async move { engine.volume_rename(&name, &to).await };
    owned("rename a volume", rename).await?;
    status(StatusCode::NO_CONTENT)
}
