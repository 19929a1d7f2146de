//! `GET /images/{name}/get` and `GET /images/get?names=..`: an archive of images.

use http::StatusCode;
use onggi_http::body;

use crate::call::{Call, Reply, typed};
use crate::failure::Failure;

pub(crate) async fn one(call: Call) -> Reply {
    let name = call.name().to_owned();
    archive(call, vec![name]).await
}

pub(crate) async fn several(call: Call) -> Reply {
    let names = call.query.all("names").map(str::to_owned).collect();
    archive(call, names).await
}

async fn archive(call: Call, names: Vec<String>) -> Reply {
    if names.is_empty() {
        return Err(Failure::invalid(
            "no image is named: say which by names=NAME",
        ));
    }
    let platform = call.given("platform");
    let chunks = call.engine.image_save(names, platform).await?;
    Ok(typed(
        StatusCode::OK,
        "application/x-tar",
        body::fallible(chunks),
    ))
}
