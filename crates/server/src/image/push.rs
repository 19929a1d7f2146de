//! `POST /images/{name}/push`.

use super::legacy;
use crate::call::{Call, Reply};
use crate::progress;

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, legacy) = (call.engine.clone(), legacy(&call));
    let (name, tag) = (call.name().to_owned(), call.query.text("tag").to_owned());
    let (platform, auth) = (call.given("platform"), call.auth());
    progress::stream("push an image", legacy, |sink| async move {
        engine.image_push(&name, &tag, platform, auth, sink).await
    })
    .await
}
