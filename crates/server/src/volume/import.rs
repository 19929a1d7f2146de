//! `POST /volumes/{name}/import`: ours alone. The body is a tar, which may be compressed.

use http::StatusCode;
use onggi_http::body;

use crate::call::{Call, Reply, json_with, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, name) = (call.engine.clone(), call.name().to_owned());
    let tar = body::reader(call.body);
    // The work ends with the body when the client leaves.
    let import = async move { engine.volume_import(&name, tar).await };
    let volume = owned("import a volume", import).await?;
    json_with(StatusCode::CREATED, &volume)
}
