//! `GET /images/search`.

use crate::call::{Call, Reply, json};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let (term, filters) = (call.query.text("term"), call.filters()?);
    let limit = match call.query.text("limit") {
        "" => 0,
        text => text.parse().map_err(|_| {
            Failure::invalid(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
        })?,
    };
    json(
        &call
            .engine
            .search(term, limit, &filters, call.auth())
            .await?,
    )
}
