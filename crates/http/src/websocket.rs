//! Connections that become websockets (RFC 6455): the handshake, and messages both ways. The frames are a kept
//! crate's; `hijack` takes the connection away from HTTP.

use std::future::Future;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use onggi_model::{ErrorKind, Fault};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::hijack::Takeover;
use crate::{Hijacked, Peer, Response, body};

/// The one version there is.
const VERSION: &str = "13";
/// What RFC 6455, section 1.3, appends to the client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The longest message we read.
const LONGEST: usize = 16 << 20;
const BUFFER: usize = 16 << 10;
/// How long the client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a request is no opening of a websocket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It asks for something else.
    #[error("not websocket protocol")]
    NotWebSocket,
    /// Another version.
    #[error("missing or bad WebSocket Version: this daemon speaks {VERSION}")]
    Version,
    /// The key is not 16 bytes in base64.
    #[error("missing or bad Sec-WebSocket-Key")]
    Key,
    /// Several protocols to choose from; all the daemon does is repeat one.
    #[error("missing or bad WebSocket-Protocol: name at most one")]
    Protocol,
    /// A page of another site: browsers let it open websockets wherever it likes.
    #[error("websocket from {0}: pages of other origins may not reach the daemon")]
    Origin(String),
}

impl Fault for HandshakeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Origin(_) => ErrorKind::Forbidden,
            _ => ErrorKind::InvalidParameter,
        }
    }
}

/// What a message is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Said to be UTF-8.
    Text,
    /// Bytes.
    Binary,
}

/// Messages of the client.
pub struct Incoming(SplitStream<WebSocketStream<Hijacked>>);

/// Messages to the client.
pub struct Outgoing(SplitSink<WebSocketStream<Hijacked>, Message>);

/// A connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Incoming {
    /// The next message, of whichever kind; `None` when the client has said goodbye or is gone.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Binary(bytes) => return Some(bytes),
                Message::Text(text) => return Some(text.into()),
                // Answered by the crate; after a goodbye the stream ends.
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Waits for the client's goodbye, for a while: closing before it would cut what is on its way to the client.
    pub async fn end(mut self) {
        let goodbye = async { while self.next().await.is_some() {} };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

impl Outgoing {
    /// Sends one message.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send(&mut self, kind: Kind, bytes: Bytes) -> Result<(), Gone> {
        // As a frame, because a text of the crate's has to be UTF-8, and what processes write need not be.
        let kind = match kind {
            Kind::Text => Data::Text,
            Kind::Binary => Data::Binary,
        };
        let frame = Frame::message(bytes, OpCode::Data(kind), true);
        self.0.send(Message::Frame(frame)).await.map_err(|_| Gone)
    }

    /// Says goodbye.
    pub async fn close(&mut self) {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        // Gone already is as good.
        let _ = self.0.send(Message::Close(Some(frame))).await;
    }
}

/// The answer that makes the connection a websocket. `run` gets both directions after the head is written.
///
/// # Errors
/// [`HandshakeError`]: the request asks for something else, or comes from a page of another site over the network.
pub fn upgrade<F, Fut>(
    request: &HeaderMap,
    peer: Option<Peer>,
    run: F,
) -> Result<Response, HandshakeError>
where
    F: FnOnce(Incoming, Outgoing) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let accept = accept(request)?;
    // A browser cannot reach a unix socket; who stands between it and one answers for it.
    if matches!(peer, Some(Peer::Tcp(_))) {
        check_origin(request)?;
    }
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = request.get(SEC_WEBSOCKET_PROTOCOL) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
    }
    Takeover::put(&mut response, |connection| async move {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let stream = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        let (outgoing, incoming) = stream.split();
        run(Incoming(incoming), Outgoing(outgoing)).await;
    });
    Ok(response)
}

/// Whether one of the words of a header is this one.
fn has_word(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// Checks the opening of RFC 6455, section 4.2.1; what proves that it was understood.
fn accept(headers: &HeaderMap) -> Result<String, HandshakeError> {
    if !has_word(headers, UPGRADE, "websocket") || !has_word(headers, CONNECTION, "upgrade") {
        return Err(HandshakeError::NotWebSocket);
    }
    if !has_word(headers, SEC_WEBSOCKET_VERSION, VERSION) {
        return Err(HandshakeError::Version);
    }
    let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    if protocols.iter().count() > 1 || protocols.iter().any(|p| p.as_bytes().contains(&b',')) {
        return Err(HandshakeError::Protocol);
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .ok_or(HandshakeError::Key)?
        .as_bytes();
    if STANDARD.decode(key).map_or(0, |bytes| bytes.len()) != 16 {
        return Err(HandshakeError::Key);
    }
    let text = [key, GUID].concat();
    Ok(STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text)))
}

/// Only pages that came from where they connect to.
fn check_origin(headers: &HeaderMap) -> Result<(), HandshakeError> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let Some(origin) = text(ORIGIN) else {
        return Ok(());
    };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    match (authority, text(HOST)) {
        (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(HandshakeError::Origin(origin.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    /// The opening of RFC 6455, section 1.3, with one header changed or left away.
    fn opening(changed: HeaderName, value: Option<&str>) -> HeaderMap {
        let mut headers = headers(&[
            (HOST, "server.example.com"),
            (UPGRADE, "websocket"),
            (CONNECTION, "keep-alive, Upgrade"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            (SEC_WEBSOCKET_VERSION, "13"),
        ]);
        headers.remove(&changed);
        if let Some(value) = value {
            headers.insert(changed, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_example_of_the_specification() {
        let headers = opening(UPGRADE, Some("WebSocket"));
        assert_eq!(accept(&headers).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_opening_is_refused() {
        for (name, value, expected) in [
            (UPGRADE, None, HandshakeError::NotWebSocket),
            (UPGRADE, Some("tcp"), HandshakeError::NotWebSocket),
            (CONNECTION, Some("close"), HandshakeError::NotWebSocket),
            (SEC_WEBSOCKET_VERSION, Some("8"), HandshakeError::Version),
            (SEC_WEBSOCKET_KEY, None, HandshakeError::Key),
            (SEC_WEBSOCKET_KEY, Some("c2hvcnQ="), HandshakeError::Key),
            (
                SEC_WEBSOCKET_PROTOCOL,
                Some("a, b"),
                HandshakeError::Protocol,
            ),
        ] {
            let found = accept(&opening(name.clone(), value)).unwrap_err();
            assert_eq!(found, expected, "{name} {value:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_stay_out_of_the_network() {
        let tcp = Some(Peer::Tcp(([127, 0, 0, 1], 1).into()));
        let unix = Some(Peer::Unix {
            uid: 0,
            gid: 0,
            pid: None,
        });
        let answer = |peer, origin: Option<&str>| {
            upgrade(&opening(ORIGIN, origin), peer, |_, _| async {}).map(|_| ())
        };
        assert_eq!(answer(tcp, None), Ok(()));
        assert_eq!(answer(tcp, Some("http://Server.example.com")), Ok(()));
        assert_eq!(answer(unix, Some("http://elsewhere.test")), Ok(()));
        for bad in ["http://elsewhere.test", "null"] {
            let refused = Err(HandshakeError::Origin(bad.to_owned()));
            assert_eq!(answer(tcp, Some(bad)), refused);
        }
    }
}
