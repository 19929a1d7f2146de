//! `GET /containers/{id}/logs`.

use http::StatusCode;
use onggi_api::container::LogsOptions;
use onggi_http::body;

use super::stream_type;
use crate::call::{Call, Reply, typed};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let options = LogsOptions {
        stdout: call.flag("stdout"),
        stderr: call.flag("stderr"),
        follow: call.flag("follow"),
        since: call.time("since")?,
        until: call.time("until")?,
        timestamps: call.flag("timestamps"),
        // `all`, nothing, and what is no number mean everything, as with dockerd.
        tail: call.query.text("tail").parse().ok(),
        details: call.flag("details"),
    };
    if !options.stdout && !options.stderr {
        return Err(Failure::invalid(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let log = call.engine.container_logs(call.id(), options).await?;
    let kind = stream_type(log.tty, call.before(1, 42));
    Ok(typed(StatusCode::OK, kind, body::channel(log.chunks)))
}
