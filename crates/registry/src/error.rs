//! What can go wrong between us and a registry, in the words Docker's users know.
//!
//! The kinds are those dockerd answers with: what a registry does not have or does not let us see is
//! NotFound, what it cannot do just now is Internal. An Unauthorized would make the docker CLI ask for a
//! login in the middle of a pull, and dockerd does not send it either.

use onggi_model::{Digest, ErrorKind, Fault};
use onggi_oci::{distribution, image};

use crate::config::InvalidConfig;
use crate::dial::Failure;
use crate::platform::NoMatch;

/// One error of a registry's answer: `code: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.to_lowercase().replace('_', " "))]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `MANIFEST_UNKNOWN`, `DENIED`, ...
    pub code: String,
    /// The registry's own words.
    pub message: String,
}

/// Why a registry did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be meant.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// A certificate or key of ours cannot be used.
    #[error("unable to load TLS configuration for {0}: {1}")]
    Certificates(String, String),
    /// A blob could not be taken from one repository to another.
    #[error("failed to copy blob {digest} from {from}")]
    Copy {
        /// Which.
        digest: Digest,
        /// The repository that has it.
        from: String,
        /// Why.
        source: Box<Error>,
    },
    /// Only images are copied.
    #[error("{0} is a list of images, not one of them")]
    CopyIndex(String),
    /// No room for a blob on its way.
    #[error("cannot keep a blob on its way (TMPDIR names another folder): {0}")]
    Scratch(String),
    /// The registry could not be reached, or broke off.
    #[error("{method} \"{url}\"")]
    Request {
        /// `Get`, `Head`: as Go prints methods.
        method: &'static str,
        /// The address asked, without its query.
        url: String,
        /// What happened.
        source: Failure,
    },
    /// The registry wants to know who we are and we cannot say.
    #[error("{method} \"{url}\"")]
    Authentication {
        /// `Get`, `Head`.
        method: &'static str,
        /// The address asked.
        url: String,
        /// Why there is no token.
        source: Box<Error>,
    },
    /// A login that the registry does not take.
    #[error("login attempt to {url} failed with status: {status}")]
    Login {
        /// The address asked.
        url: String,
        /// `401 Unauthorized`
        status: String,
    },
    /// A login that the registry's token server does not take.
    #[error("Get \"{url}\"")]
    LoginDenied {
        /// The registry's address.
        url: String,
        /// The token server's words.
        source: Answer,
    },
    /// A search term that begins with a scheme.
    #[error("invalid repository name (ex: \"registry.domain.tld/myrepos\")")]
    SearchTerm,
    /// A registry that cannot be searched.
    #[error("{0}")]
    Search(String),
    /// A registry that can be searched by others.
    #[error("Unexpected status code 401")]
    SearchDenied,
    /// The name of a registry that is no host.
    #[error("invalid registry address {0:?}: not a host")]
    NoHost(String),
    /// The registry wants basic authentication and we have no user.
    #[error("no basic auth credentials")]
    NoCredentials,
    /// A token server that must not be given our credentials.
    #[error("refusing the token server {realm:?}: {why}")]
    Realm {
        /// What the registry named.
        realm: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A redirect that must not be followed.
    #[error("refusing the redirect from {from} to {to}: {why}")]
    Redirect {
        /// Host that sent us on.
        from: String,
        /// Where to.
        to: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The token server's answer holds no token.
    #[error("authorization server did not include a token in the response")]
    NoToken,
    /// There is no such repository, or we may not see it.
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login'"
    )]
    AccessDenied {
        /// Familiar name of the repository.
        name: String,
        /// The registry's words.
        source: Answer,
    },
    /// The repository has no such tag or digest.
    #[error("manifest for {reference} not found")]
    ManifestNotFound {
        /// Familiar form of the reference.
        reference: String,
        /// The registry's words.
        source: Answer,
    },
    /// The registry says that there is no such repository.
    #[error("repository {name} not found")]
    RepositoryNotFound {
        /// Familiar name of the repository.
        name: String,
        /// The registry's words.
        source: Answer,
    },
    /// Any other error the registry explained.
    #[error(transparent)]
    Refused(Answer),
    /// The same, for those who ask on the registry's behalf: its words with its own status.
    #[error(transparent)]
    Answered(Answer),
    /// An error nobody explained.
    #[error("received unexpected HTTP status: {0}")]
    Status(String),
    /// A client error whose explanation cannot be read.
    #[error("error parsing HTTP {status} response body: {why}: {body:?}")]
    Unreadable {
        /// HTTP status.
        status: u16,
        /// What the parser says.
        why: String,
        /// Its beginning.
        body: String,
    },
    /// A manifest, index or configuration that is none.
    #[error(transparent)]
    Document(#[from] image::Error),
    /// An image in the format of 2013.
    #[error(
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. \
         Suggest the author of {0} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. \
         More information at https://docs.docker.com/go/deprecated-image-specs/"
    )]
    SchemaOne(String),
    /// More bytes than a document of this sort may have.
    #[error("{what} of {size} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// `manifest`, `image config`.
        what: &'static str,
        /// Its size as far as we know.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The manifest's bytes are not those the digest names.
    #[error("manifest verification failed for digest {0}")]
    ManifestDigest(Digest),
    /// A blob's bytes are not those the digest names.
    #[error("filesystem layer verification failed for digest {0}")]
    BlobDigest(Digest),
    /// A blob is longer or shorter than its descriptor says.
    #[error("size of blob {digest} is {actual} bytes, but its descriptor says {expected}")]
    BlobSize {
        /// The blob.
        digest: Digest,
        /// What the descriptor says.
        expected: u64,
        /// What the registry announces, or has sent so far.
        actual: u64,
    },
    /// The index has nothing for the platform.
    #[error(transparent)]
    Platform(#[from] NoMatch),
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Config(error) => error.kind(),
            Error::AccessDenied { .. }
            | Error::ManifestNotFound { .. }
            | Error::RepositoryNotFound { .. } => ErrorKind::NotFound,
            Error::Refused(answer) => by_status(answer.status),
            Error::Answered(answer) => answer.kind(),
            Error::Unreadable { status, .. } => by_status(*status),
            Error::Document(error) => error.kind(),
            Error::Login { .. } | Error::LoginDenied { .. } => ErrorKind::Unauthorized,
            Error::SearchDenied => ErrorKind::Unauthorized,
            Error::Copy { source, .. } => source.kind(),
            Error::CopyIndex(_) | Error::SchemaOne(_) | Error::NoHost(_) | Error::SearchTerm => {
                ErrorKind::InvalidParameter
            }
            Error::TooLarge { .. } => ErrorKind::TooLarge,
            Error::Platform(error) => error.kind(),
            Error::Certificates(..)
            | Error::Scratch(_)
            | Error::Request { .. }
            | Error::Authentication { .. }
            | Error::NoCredentials
            | Error::Realm { .. }
            | Error::Redirect { .. }
            | Error::NoToken
            | Error::Search(_)
            | Error::Status(_)
            | Error::ManifestDigest(_)
            | Error::BlobDigest(_)
            | Error::BlobSize { .. } => ErrorKind::Internal,
        }
    }
}

impl Answer {
    /// What the code means, whatever status it came with.
    fn kind(&self) -> ErrorKind {
        match self.code.as_str() {
            distribution::code::UNAUTHORIZED => ErrorKind::Unauthorized,
            distribution::code::DENIED => ErrorKind::Forbidden,
            distribution::code::TOOMANYREQUESTS | "UNAVAILABLE" => ErrorKind::Unavailable,
            "UNSUPPORTED" => ErrorKind::NotImplemented,
            code if code.ends_with("_UNKNOWN") => ErrorKind::NotFound,
            code if code.ends_with("_INVALID") => ErrorKind::InvalidParameter,
            _ => by_status(self.status),
        }
    }
}

fn by_status(status: u16) -> ErrorKind {
    match status {
        404 => ErrorKind::NotFound,
        _ => ErrorKind::Internal,
    }
}

impl Error {
    /// Whether the same request may well succeed in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Error::Request { source, .. } => source.is_transient(),
            Error::Authentication { source, .. } => source.is_transient(),
            Error::Refused(answer) => matches!(answer.status, 429 | 408 | 500..=599),
            Error::Unreadable { status, .. } => matches!(status, 429 | 408),
            Error::Status(_) => true,
            _ => false,
        }
    }

    /// Whether the registry answered, and its answer is that it has no such thing.
    pub(crate) fn is_absence(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the registry has no such thing, or does not let us see it.
    pub fn is_hidden(&self) -> bool {
        match self {
            Error::Refused(answer) | Error::Answered(answer) => {
                matches!(answer.kind(), ErrorKind::NotFound | ErrorKind::Unauthorized)
            }
            Error::Unreadable { .. } => true,
            other => other.is_absence(),
        }
    }

    /// Puts the reference into what a registry said about it.
    pub(crate) fn about(self, name: &str, reference: &str) -> Error {
        let Error::Refused(answer) = self else {
            return self;
        };
        match answer.code.as_str() {
            distribution::code::DENIED => Error::AccessDenied {
                name: name.to_owned(),
                source: answer,
            },
            distribution::code::MANIFEST_UNKNOWN => Error::ManifestNotFound {
                reference: reference.to_owned(),
                source: answer,
            },
            distribution::code::NAME_UNKNOWN => Error::RepositoryNotFound {
                name: name.to_owned(),
                source: answer,
            },
            _ => Error::Refused(answer),
        }
    }

    /// Takes our own words away from what a registry said: it speaks for itself.
    pub(crate) fn into_answered(self) -> Error {
        match self {
            Error::AccessDenied { source, .. }
            | Error::ManifestNotFound { source, .. }
            | Error::RepositoryNotFound { source, .. }
            | Error::Refused(source) => Error::Answered(source),
            other => other,
        }
    }

    /// What an answer with an error status means. `body` is its beginning; `scope_error` the `error` and
    /// `error_description` of a bearer challenge in it.
    pub(crate) fn from_answer(
        status: u16,
        reason: &str,
        body: &[u8],
        scope_error: Option<(&str, Option<&str>)>,
    ) -> Error {
        let refused = |code: &str, message: String| {
            Error::Refused(Answer {
                status,
                code: code.to_owned(),
                message,
            })
        };
        if !(400..500).contains(&status) {
            if let Some(first) = explained(status, body) {
                return refused(&first.0, first.1);
            }
            return Error::Status(format!("{status} {reason}").trim_end().to_owned());
        }
        // RFC 6750, 3.1: what the token lacks is said in the challenge.
        match scope_error {
            Some(("insufficient_scope", text)) => {
                let text = text.unwrap_or("requested access to the resource is denied");
                return refused(distribution::code::DENIED, text.to_owned());
            }
            Some(("invalid_token", text)) => {
                let text = text.unwrap_or("authentication required");
                return refused(distribution::code::UNAUTHORIZED, text.to_owned());
            }
            _ => {}
        }
        if let Some((code, message)) = explained(status, body) {
            return refused(&code, message);
        }
        let text = String::from_utf8_lossy(body);
        let short: String = text.chars().take(512).collect();
        if status == 401 {
            return refused(
                distribution::code::UNAUTHORIZED,
                "authentication required".to_owned(),
            );
        }
        let why = match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(_) => "no error details found in HTTP response body".to_owned(),
            Err(error) => no_json(body, &error),
        };
        Error::Unreadable {
            status,
            why,
            body: short,
        }
    }
}

/// Why a text is no JSON, in the words of Go's decoder.
pub(crate) fn no_json(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    let first = text.trim_start().chars().next();
    match first {
        Some(first) if !(first.is_ascii_digit() || "{[\"-tfn".contains(first)) => {
            format!("invalid character '{first}' looking for beginning of value")
        }
        _ if error.is_eof() => "unexpected end of JSON input".to_owned(),
        _ => error.to_string(),
    }
}

/// The first error a body explains: in the distribution specification's shape, or with `details`.
fn explained(status: u16, body: &[u8]) -> Option<(String, String)> {
    #[derive(serde::Deserialize)]
    struct Details {
        #[serde(default)]
        details: String,
    }
    if let Ok(Details { details }) = serde_json::from_slice(body)
        && !details.is_empty()
    {
        let code = match status {
            401 => distribution::code::UNAUTHORIZED,
            429 => distribution::code::TOOMANYREQUESTS,
            _ => "UNKNOWN",
        };
        return Some((code.to_owned(), details));
    }
    let errors: distribution::Errors = serde_json::from_slice(body).ok()?;
    let first = errors.errors.into_iter().next()?;
    let code = if first.code.is_empty() {
        "UNKNOWN".to_owned()
    } else {
        first.code
    };
    let message = if first.message.is_empty() {
        code.to_lowercase().replace('_', " ")
    } else {
        first.message
    };
    Some((code, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use onggi_model::chain;

    fn answered(status: u16, body: &str) -> Error {
        Error::from_answer(status, "", body.as_bytes(), None).about("app", "app:latest")
    }

    #[test]
    fn refusals_read_as_dockers() {
        let unknown = answered(
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
        );
        assert_eq!(
            chain(&unknown),
            "manifest for app:latest not found: manifest unknown: manifest unknown"
        );
        assert_eq!(unknown.kind(), ErrorKind::NotFound);
        let denied = Error::from_answer(
            401,
            "Unauthorized",
            br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
            Some(("insufficient_scope", None)),
        )
        .about("app", "app:latest");
        assert_eq!(
            chain(&denied),
            "pull access denied for app, repository does not exist or may require 'docker login': \
             denied: requested access to the resource is denied"
        );
        assert_eq!(denied.kind(), ErrorKind::NotFound);
        let name = answered(
            404,
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#,
        );
        assert_eq!(
            chain(&name),
            "repository app not found: name unknown: repository name not known to registry"
        );
        let limit = answered(
            429,
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#,
        );
        assert_eq!(chain(&limit), "toomanyrequests: slow down");
        assert!(limit.is_transient());
    }

    #[test]
    fn on_a_registrys_behalf_its_own_status_counts() {
        for (status, code, kind) in [
            (401, "UNAUTHORIZED", ErrorKind::Unauthorized),
            (401, "DENIED", ErrorKind::Forbidden),
            (404, "MANIFEST_UNKNOWN", ErrorKind::NotFound),
            (404, "NAME_UNKNOWN", ErrorKind::NotFound),
            (400, "NAME_INVALID", ErrorKind::InvalidParameter),
            (429, "TOOMANYREQUESTS", ErrorKind::Unavailable),
            (400, "UNKNOWN", ErrorKind::Internal),
        ] {
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#);
            let error = answered(status, &body).into_answered();
            assert_eq!(error.kind(), kind, "{code}");
            let words = format!("{}: no", code.to_lowercase().replace('_', " "));
            assert_eq!(chain(&error), words);
        }
    }

    #[test]
    fn answers_that_explain_nothing() {
        let error = Error::from_answer(500, "Internal Server Error", b"oops", None);
        assert_eq!(
            error.to_string(),
            "received unexpected HTTP status: 500 Internal Server Error"
        );
        assert!(error.is_transient());
        let error = answered(404, "<html>");
        assert_eq!(
            error.to_string(),
            "error parsing HTTP 404 response body: invalid character '<' looking for beginning of value: \"<html>\""
        );
        let error = answered(404, "");
        assert_eq!(
            error.to_string(),
            "error parsing HTTP 404 response body: unexpected end of JSON input: \"\""
        );
        assert!(error.is_absence());
        let error = answered(404, "404 page not found\n");
        assert!(
            error
                .to_string()
                .starts_with("error parsing HTTP 404 response body: "),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = answered(401, "<html>");
        assert_eq!(error.to_string(), "unauthorized: authentication required");
        assert!(!error.is_transient());
    }
}
