//! `POST /exec/{id}/resize`.

use http::StatusCode;

use crate::call::{Call, Reply, status};
use crate::container::size;

pub(crate) async fn handle(call: Call) -> Reply {
    let (rows, columns) = size(&call)?;
    call.engine.exec_resize(call.id(), rows, columns).await?;
    status(StatusCode::OK)
}
