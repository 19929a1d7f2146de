//! `GET /containers/{id}/stats`: one document, or one a second.

use bytes::Bytes;
use http::StatusCode;
use onggi_engine::StatsOptions;
use onggi_http::body;
use tokio::sync::mpsc;

use crate::call::{Call, Reply, line, typed};

pub(crate) async fn handle(call: Call) -> Reply {
    let options = StatsOptions {
        stream: call.query.get("stream").is_none_or(|_| call.flag("stream")),
        one_shot: !call.before(1, 41) && call.flag("one-shot"),
    };
    let mut stats = call.engine.container_stats(call.id(), options).await?;
    let (send, chunks) = mpsc::channel::<Bytes>(1);
    onggi_rt::spawn("relay statistics", async move {
        loop {
            let document = tokio::select! {
                document = stats.recv() => document,
                () = send.closed() => return,
            };
            let Some(document) = document else { return };
            if send.send(line(&document)).await.is_err() {
                return;
            }
        }
    });
    Ok(typed(
        StatusCode::OK,
        "application/json",
        body::channel(chunks),
    ))
}
