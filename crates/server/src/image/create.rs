//! `POST /images/create`: pull, or import an archive.

use onggi_http::body;

use super::legacy;
use crate::call::{Call, Reply};
use crate::failure::Failure;
use crate::progress;

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, legacy) = (call.engine.clone(), legacy(&call));
    let (tag, platform) = (call.query.text("tag").to_owned(), call.given("platform"));
    if let Some(reference) = call.given("fromImage") {
        let auth = call.auth();
        return progress::stream("pull an image", legacy, |sink| async move {
            engine
                .image_pull(&reference, &tag, platform, auth, sink)
                .await
        })
        .await;
    }
    let source = call.query.text("fromSrc");
    if source.is_empty() {
        return Err(Failure::invalid(
            "either fromImage or fromSrc must be given",
        ));
    }
    let repository = call.query.text("repo").to_owned();
    let message = call.query.text("message").to_owned();
    let changes: Vec<String> = call.query.all("changes").map(str::to_owned).collect();
    if source != "-" {
        let source = source.to_owned();
        return progress::stream("import an image", legacy, |sink| async move {
            engine
                .image_import_from(
                    &source,
                    &repository,
                    &tag,
                    &message,
                    changes,
                    platform,
                    sink,
                )
                .await
        })
        .await;
    }
    let reader = body::reader(call.body);
    progress::stream("import an image", legacy, |sink| async move {
        engine
            .image_import(reader, &repository, &tag, &message, changes, platform, sink)
            .await
    })
    .await
}
