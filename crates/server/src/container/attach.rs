//! `POST /containers/{id}/attach`: the connection becomes the container's streams.

use http::header::UPGRADE;
use onggi_api::container::AttachOptions;
use onggi_http::hijack;

use super::{RAW, stream_type};
use crate::call::{Call, Reply, is_python};

pub(crate) async fn handle(call: Call) -> Reply {
    let options = AttachOptions {
        stdin: call.flag("stdin"),
        stdout: call.flag("stdout"),
        stderr: call.flag("stderr"),
        stream: call.flag("stream"),
        logs: call.flag("logs"),
        detach_keys: call.given("detachKeys"),
    };
    let attach = call.engine.container_attach(call.id(), options).await?;
    // A client that did not ask for an upgrade is told nothing of frames, and gets them all the same.
    let upgrade = call.headers.contains_key(UPGRADE);
    let kind = if upgrade {
        stream_type(attach.tty, call.before(1, 42))
    } else {
        RAW
    };
    let python = is_python(&call.headers);
    Ok(hijack(&call.headers, kind, move |connection| async move {
        if python {
            connection.until_read().await;
        }
        attach.run(connection).await;
    }))
}
