//! What a request is refused with: status, the specification's code, and words for a person.

use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use onggi_http::{Response, body};
use onggi_oci::distribution::{ErrorInfo, Errors, code};
use serde_json::Value;

use crate::storage;

/// A refused request.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    errors: Vec<ErrorInfo>,
    headers: Vec<(HeaderName, String)>,
}

/// The code of errors that are ours.
pub(crate) const UNKNOWN: &str = "UNKNOWN";
/// The code of pages that cannot be meant.
pub(crate) const PAGINATION: &str = "PAGINATION_NUMBER_INVALID";
/// The code of a request for bytes that are not there.
pub(crate) const RANGE: &str = "RANGE_INVALID";
/// The code of what cannot be had just now.
pub(crate) const UNAVAILABLE: &str = "UNAVAILABLE";

impl Refusal {
    /// A refusal for one reason.
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let error = ErrorInfo {
            code: code.to_owned(),
            message: message.into(),
            detail: None,
        };
        Self {
            status,
            errors: vec![error],
            headers: Vec::new(),
        }
    }

    /// A request that cannot be meant.
    pub(crate) fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A thing that is not there.
    pub(crate) fn absent(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// Something this registry, or this repository, does not do.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, code::UNSUPPORTED, message)
    }

    /// The same reason for several things: one entry each.
    pub(crate) fn each(
        status: StatusCode,
        code: &str,
        message: &str,
        details: impl IntoIterator<Item = Value>,
    ) -> Self {
        let error = |detail| ErrorInfo {
            code: code.to_owned(),
            message: message.to_owned(),
            detail: Some(detail),
        };
        Self {
            status,
            errors: details.into_iter().map(error).collect(),
            headers: Vec::new(),
        }
    }

    /// With more for programs to read.
    pub(crate) fn detail(mut self, detail: Value) -> Self {
        for error in &mut self.errors {
            error.detail = Some(detail.clone());
        }
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        let document = Errors {
            errors: self.errors,
        };
        let bytes = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(body::full(bytes));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(name, value);
            }
        }
        response
    }
}

impl From<storage::Error> for Refusal {
    fn from(error: storage::Error) -> Self {
        if let storage::Error::Digest(digest) = &error {
            let detail = serde_json::json!({ "digest": digest });
            return Refusal::bad(code::DIGEST_INVALID, error.to_string()).detail(detail);
        }
        tracing::error!(error = onggi_model::chain(&error), "storage");
        if error.is_full() {
            let message = "the registry's disk is full";
            return Refusal::new(StatusCode::INSUFFICIENT_STORAGE, UNKNOWN, message);
        }
        // Paths and words of the system are for the log.
        let message = "the registry's storage failed";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, UNKNOWN, message)
    }
}

impl From<onggi_rt::Error> for Refusal {
    fn from(error: onggi_rt::Error) -> Self {
        tracing::error!(%error, "blocking work");
        let message = "the registry failed at this";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, UNKNOWN, message)
    }
}
