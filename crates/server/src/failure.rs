//! Errors to answers: the one place where a kind becomes a status.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use onggi_api::ErrorResponse;
use onggi_http::{Response, body};
use onggi_model::{ErrorKind, Fault, chain};

/// Why a request was not done: a kind and a line for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameter, message)
    }

    pub(crate) fn page_not_found() -> Self {
        Self::new(ErrorKind::NotFound, "page not found")
    }

    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotImplemented, message)
    }

    /// The answer. 304 has no body.
    pub(crate) fn response(&self) -> Response {
        let status = status_of(self.kind);
        if status == StatusCode::NOT_MODIFIED {
            let mut response = Response::new(body::empty());
            *response.status_mut() = status;
            return response;
        }
        if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
            tracing::error!(status = status.as_u16(), "{}", self.message);
        } else {
            tracing::debug!(status = status.as_u16(), "{}", self.message);
        }
        let document = ErrorResponse {
            message: self.message.clone(),
        };
        let mut text = serde_json::to_vec(&document).unwrap_or_default();
        text.push(b'\n');
        let mut response = Response::new(body::full(text));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Takes over any fault in its own words.
impl<F: Fault + 'static> From<F> for Failure {
    fn from(fault: F) -> Self {
        Self {
            kind: fault.kind(),
            message: chain(&fault),
        }
    }
}

/// Docker's status for a kind.
pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::InvalidParameter => StatusCode::BAD_REQUEST,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
        ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Cancelled | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn answers_are_dockers() {
        let response = Failure::new(ErrorKind::NotFound, "No such container: \"x\" <y>").response();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "{\"message\":\"No such container: \\\"x\\\" <y>\"}\n");
        let response = Failure::new(ErrorKind::NotModified, "").response();
        assert_eq!(response.status(), 304);
        assert!(
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
    }
}
