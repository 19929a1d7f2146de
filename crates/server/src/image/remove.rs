//! `DELETE /images/{name}`.

use crate::call::{Call, Reply, json, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    call.refuse(&["platforms"])?;
    let (engine, name) = (call.engine.clone(), call.name().to_owned());
    let (force, keep_parents) = (call.flag("force"), call.flag("noprune"));
    let remove = async move { engine.image_remove(&name, force, keep_parents).await };
    json(&owned("remove an image", remove).await?)
}
