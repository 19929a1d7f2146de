//! `DELETE /images/{name}`.

use crate::call::{Call, Reply, json, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, name) = (call.engine.clone(), call.name().to_owned());
    let (force, keep_parents) = (call.flag("force"), call.flag("noprune"));
    let platforms = match call.before(1, 50) {
        true => Vec::new(),
        false => call.query.all("platforms").map(str::to_owned).collect(),
    };
    let remove = async move {
        engine
            .image_remove(&name, force, keep_parents, platforms)
            .await
    };
    json(&owned("remove an image", remove).await?)
}
