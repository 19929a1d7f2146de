//! One line of JSON on standard output for each request, when its answer has been sent or broken off.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{request, response};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use onggi_http::{Body, Peer, Response};
use onggi_model::Timestamp;

/// What is known of a request.
#[derive(Debug)]
pub(crate) struct Line {
    peer: String,
    method: String,
    path: String,
    agent: String,
    pub(crate) user: String,
}

impl Line {
    pub(crate) fn begin(head: &request::Parts, peer: Option<Peer>) -> Self {
        let agent = head.headers.get(http::header::USER_AGENT);
        Self {
            peer: match peer {
                Some(Peer::Tcp(address)) => address.to_string(),
                Some(Peer::Unix { uid, .. }) => format!("unix:{uid}"),
                None => String::new(),
            },
            method: head.method.to_string(),
            // Without the query: upstream's and our own tokens may be in it.
            path: head.uri.path().to_owned(),
            agent: agent
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .unwrap_or_default(),
            user: String::new(),
        }
    }
}

struct Logged {
    body: Body,
    line: Line,
    status: u16,
    began: Instant,
    sent: u64,
    /// Bytes that were announced.
    announced: Option<u64>,
    /// Our side of the answer broke off.
    broken: bool,
}

/// The answer, which writes the line when it is over.
pub(crate) fn logged(parts: response::Parts, body: Body, line: Line, began: Instant) -> Response {
    let announced = parts.headers.get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = Logged {
        announced: announced.filter(|_| line.method != "HEAD"),
        status: parts.status.as_u16(),
        body,
        line,
        began,
        sent: 0,
        broken: false,
    };
    Response::from_parts(parts, body.boxed_unsync())
}

impl hyper::body::Body for Logged {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(Some(Err(_))) => self.broken = true,
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let line = serde_json::json!({
            "time": Timestamp::now(),
            "peer": self.line.peer,
            "user": self.line.user,
            "method": self.line.method,
            "path": self.line.path,
            "status": self.status,
            "bytes": self.sent,
            "milliseconds": u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "agent": self.line.agent,
            "broken": self.broken || self.announced.is_some_and(|size| size != self.sent),
        });
        // A reader that went away is no reason to stop serving.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
