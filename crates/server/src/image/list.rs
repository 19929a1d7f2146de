//! `GET /images/json`.

use super::compat;
use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    call.refuse(&["shared-size", "identity"])?;
    let mut filters = call.filters()?;
    // Before 1.41 a name could be given as a parameter of its own.
    if let Some(name) = call.given("filter").filter(|_| call.before(1, 41)) {
        filters.add("reference", name);
    }
    let list = call
        .engine
        .image_list(filters, call.flag("manifests"))
        .await?;
    let list: Vec<_> = list
        .into_iter()
        .map(|one| compat::summary(one, call.version))
        .collect();
    json(&list)
}
