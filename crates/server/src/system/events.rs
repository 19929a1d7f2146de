//! `GET /events`: what happened, as it happens.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use onggi_api::ApiVersion;
use onggi_engine::EventsOptions;
use onggi_http::body;
use tokio::sync::mpsc;

use super::compat;
use crate::call::{Call, Reply, line, typed};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let (since, until) = (call.time_or_epoch("since")?, call.time_or_epoch("until")?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Failure::invalid(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            since.seconds(),
            until.seconds()
        )));
    }
    let options = EventsOptions {
        since,
        until,
        filters: call.filters()?,
    };
    let kind = media_type(call.version, &call.headers);
    let sequence = kind == SEQUENCE;
    let version = call.version;
    let mut events = call.engine.events(options).await?;
    let (send, chunks) = mpsc::channel::<Bytes>(64);
    onggi_rt::spawn("relay events", async move {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = send.closed() => return,
            };
            let Some(event) = event else { return };
            let text = line(&compat::event(&event, version));
            let text = if sequence {
                let mut marked = BytesMut::with_capacity(text.len() + 1);
                marked.put_u8(0x1e);
                marked.extend_from_slice(&text);
                marked.freeze()
            } else {
                text
            };
            if send.send(text).await.is_err() {
                return;
            }
        }
    });
    Ok(typed(StatusCode::OK, kind, body::channel(chunks)))
}

/// RFC 7464: each document begins with a record separator.
const SEQUENCE: &str = "application/json-seq";

/// The type the client accepts; before 1.52 there was one.
fn media_type(version: ApiVersion, headers: &HeaderMap) -> &'static str {
    if version < ApiVersion::new(1, 52) {
        return "application/json";
    }
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let named = accept
        .split(',')
        .map(|one| one.split(';').next().unwrap_or("").trim());
    for name in named {
        match name {
            "application/jsonl" => return "application/jsonl",
            "application/x-ndjson" => return "application/x-ndjson",
            SEQUENCE => return SEQUENCE,
            _ => {}
        }
    }
    "application/jsonl"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_type() {
        let choose = |version, accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            media_type(version, &headers)
        };
        let (old, new) = (ApiVersion::new(1, 51), ApiVersion::NEWEST);
        assert_eq!(choose(old, "application/json-seq"), "application/json");
        assert_eq!(choose(new, "*/*"), "application/jsonl");
        assert_eq!(
            choose(new, "text/html, application/x-ndjson;q=0.5"),
            "application/x-ndjson"
        );
        assert_eq!(choose(new, "application/json-seq"), "application/json-seq");
    }
}
