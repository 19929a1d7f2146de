//! `GET /images/json`.

use onggi_engine::ImageListOptions;

use super::compat;
use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    call.refuse(&["identity"])?;
    let mut filters = call.filters()?;
    // Before 1.41 a name could be given as a parameter of its own.
    if let Some(name) = call.given("filter").filter(|_| call.before(1, 41)) {
        filters.add("reference", name);
    }
    let options = ImageListOptions {
        all: call.flag("all"),
        manifests: call.flag("manifests") && !call.before(1, 47),
        shared_size: call.flag("shared-size") && !call.before(1, 42),
    };
    let list = call.engine.image_list(filters, options).await?;
    let list: Vec<_> = list
        .into_iter()
        .map(|one| compat::summary(one, call.version))
        .collect();
    json(&list)
}
