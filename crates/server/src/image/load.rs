//! `POST /images/load`: images from an archive.

use onggi_http::body;

use super::legacy;
use crate::call::{Call, Reply};
use crate::progress;

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, legacy) = (call.engine.clone(), legacy(&call));
    // Quiet unless the client asks for progress, as with dockerd.
    let quiet = call
        .query
        .get("quiet")
        .is_none_or(onggi_api::query::boolean);
    let platform = call.given("platform");
    let reader = body::reader(call.body);
    progress::stream("load images", legacy, |sink| async move {
        engine.image_load(reader, platform, quiet, sink).await
    })
    .await
}
