//! `POST /images/{name}/tag`.

use http::StatusCode;

use crate::call::{Call, Reply, owned, status};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, name) = (call.engine.clone(), call.name().to_owned());
    let (repository, tag) = (
        call.query.text("repo").to_owned(),
        call.query.text("tag").to_owned(),
    );
    let change = async move { engine.image_tag(&name, &repository, &tag).await };
    owned("tag an image", change).await?;
    status(StatusCode::CREATED)
}
