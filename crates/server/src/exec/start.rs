//! `POST /exec/{id}/start`: the connection becomes the process's streams, unless it is detached.
//!
//! The process starts after the head of the answer is sent, as with dockerd: what goes wrong from there on is told
//! in the stream, and clients ask for the exit code (126, 127).

use http::StatusCode;
use http::header::UPGRADE;
use onggi_api::exec::StartRequest;
use onggi_api::stream::{self, Stream};
use onggi_http::hijack;
use onggi_model::ErrorKind;
use tokio::io::AsyncWriteExt;

use crate::call::{Call, Reply, is_python, owned, status};
use crate::container::{RAW, stream_type};
use crate::failure::Failure;

const WHAT: &str = "start a process in a container";

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id, headers) = (
        call.engine.clone(),
        call.id().to_owned(),
        call.headers.clone(),
    );
    let old = call.before(1, 42);
    let request: StartRequest = call.json_if_any().await?.unwrap_or_default();
    let exec = engine.exec_inspect(&id).await?;
    let container = engine.container_inspect(&exec.container_id, false).await?;
    if !container.state.running {
        let text = format!("container {} is not running", container.id);
        return Err(Failure::new(ErrorKind::Conflict, text));
    }
    if container.state.paused {
        let text = format!(
            "container {} is paused, unpause the container before exec",
            container.id
        );
        return Err(Failure::new(ErrorKind::Conflict, text));
    }
    if request.detach {
        let start = async move { engine.exec_start(&id, request).await.map(drop) };
        owned(WHAT, start).await?;
        return status(StatusCode::OK);
    }
    let tty = exec.process_config.tty;
    let upgrade = headers.contains_key(UPGRADE);
    let kind = if upgrade { stream_type(tty, old) } else { RAW };
    let python = is_python(&headers);
    // From here on it counts as running: clients ask as soon as they have the head of the answer.
    let claim = engine.exec_claim(&id);
    Ok(hijack(&headers, kind, move |mut connection| async move {
        if python {
            connection.until_read().await;
        }
        let start = async move { claim?.start(request).await };
        match owned(WHAT, start).await {
            Ok(session) => session.run(connection).await,
            Err(failure) => {
                let text = format!("{}\r\n", failure.message);
                let bytes = match tty {
                    true => text.into(),
                    false => stream::frame(Stream::Stdout, text.as_bytes()),
                };
                // A client that is gone does not hear it.
                let _ = connection.write_all(&bytes).await;
                let _ = connection.shutdown().await;
            }
        }
    }))
}
