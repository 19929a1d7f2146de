//! `POST /containers/{id}/wait`: the head at once, the exit code when there is one.

use http::StatusCode;
use onggi_api::container::WaitCondition;
use onggi_http::body;

use crate::call::{Call, Reply, line, typed};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let text = call.query.text("condition");
    let condition = WaitCondition::parse(text)
        .ok_or_else(|| Failure::invalid(format!("invalid condition: {text:?}")))?;
    let waiter = call.engine.container_wait(call.id(), condition).await?;
    // The client starts the container when it sees the head: from here on nothing is missed.
    let exit = body::later(async move { line(&waiter.wait().await) });
    Ok(typed(StatusCode::OK, "application/json", exit))
}
