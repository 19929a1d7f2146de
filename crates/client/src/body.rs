//! What comes back: bodies read at once, piece by piece, or as a stream of JSON values.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::connection::RequestBody;
use crate::error::{Error, Result};

/// An answer whose status is good.
pub struct Response {
    pub(crate) client: Client,
    pub(crate) sender: Option<SendRequest<RequestBody>>,
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Incoming,
    pub(crate) method: String,
    pub(crate) path: String,
}

impl Response {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body, or nothing at its end.
    ///
    /// # Errors
    /// [`Error::Connection`] when the connection breaks in the middle.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.body.frame().await {
                None => {
                    if let Some(sender) = self.sender.take() {
                        self.client.keep(sender);
                    }
                    return Ok(None);
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(Error::Connection {
                        method: self.method.clone(),
                        path: self.path.clone(),
                        reason: onggi_model::chain(&error),
                    });
                }
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Response::chunk`].
    pub async fn bytes(mut self) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// The body as a JSON document.
    ///
    /// # Errors
    /// [`Error::Answer`] when it is none, and as [`Response::chunk`].
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let (method, path) = (self.method.clone(), self.path.clone());
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Answer {
            method,
            path,
            reason: error.to_string(),
        })
    }

    /// The body as a stream of JSON values.
    pub fn values(self) -> Values {
        Values {
            response: self,
            buffer: BytesMut::new(),
            ended: false,
        }
    }
}

/// JSON values, one after the other.
pub struct Values {
    response: Response,
    buffer: BytesMut,
    ended: bool,
}

impl Values {
    /// The next value, or nothing at the end of the stream.
    ///
    /// # Errors
    /// [`Error::Answer`] when the bytes are no JSON or end inside a value, and as [`Response::chunk`].
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter::<T>();
            match values.next() {
                Some(Ok(value)) => {
                    let used = values.byte_offset();
                    let _ = self.buffer.split_to(used);
                    return Ok(Some(value));
                }
                Some(Err(error)) if !error.is_eof() || self.ended => {
                    return Err(Error::Answer {
                        method: self.response.method.clone(),
                        path: self.response.path.clone(),
                        reason: error.to_string(),
                    });
                }
                None if self.ended => return Ok(None),
                Some(Err(_)) | None => match self.response.chunk().await? {
                    Some(chunk) => self.buffer.extend_from_slice(&chunk),
                    None => self.ended = true,
                },
            }
        }
    }
}
