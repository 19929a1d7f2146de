//! OCI distribution documents: what registries answer beside manifests and blobs.
//!
//! How they are asked, and what follows from an answer, is the registry client's business.

use serde::{Deserialize, Deserializer, Serialize};

/// The body of a registry's refusal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// At least one error, by the specification; servers have been seen to send none.
    #[serde(default, deserialize_with = "nullable")]
    pub errors: Vec<ErrorInfo>,
}

/// One reason of a refusal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// One of [`code`], or the registry's own.
    #[serde(default, deserialize_with = "nullable")]
    pub code: String,
    /// For people.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub message: String,
    /// Anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// The error codes of the specification, and the one of old registries.
pub mod code {
    /// The blob is not known to the registry.
    pub const BLOB_UNKNOWN: &str = "BLOB_UNKNOWN";
    /// The upload is broken.
    pub const BLOB_UPLOAD_INVALID: &str = "BLOB_UPLOAD_INVALID";
    /// The upload is not known to the registry.
    pub const BLOB_UPLOAD_UNKNOWN: &str = "BLOB_UPLOAD_UNKNOWN";
    /// The digest does not match what was sent.
    pub const DIGEST_INVALID: &str = "DIGEST_INVALID";
    /// The manifest names a blob the registry does not have.
    pub const MANIFEST_BLOB_UNKNOWN: &str = "MANIFEST_BLOB_UNKNOWN";
    /// The manifest is broken.
    pub const MANIFEST_INVALID: &str = "MANIFEST_INVALID";
    /// The manifest is not known to the registry.
    pub const MANIFEST_UNKNOWN: &str = "MANIFEST_UNKNOWN";
    /// The name of the repository is not valid.
    pub const NAME_INVALID: &str = "NAME_INVALID";
    /// The repository is not known to the registry.
    pub const NAME_UNKNOWN: &str = "NAME_UNKNOWN";
    /// The length does not match what was sent.
    pub const SIZE_INVALID: &str = "SIZE_INVALID";
    /// The tag is not valid; from before the specification.
    pub const TAG_INVALID: &str = "TAG_INVALID";
    /// Credentials are missing or wrong.
    pub const UNAUTHORIZED: &str = "UNAUTHORIZED";
    /// The credentials do not allow this.
    pub const DENIED: &str = "DENIED";
    /// The registry cannot do this.
    pub const UNSUPPORTED: &str = "UNSUPPORTED";
    /// Too many requests.
    pub const TOOMANYREQUESTS: &str = "TOOMANYREQUESTS";
}

/// The answer of a token service. Old services write `token`, OAuth 2 ones `access_token`.
#[derive(Clone, Default, Deserialize)]
pub struct Token {
    /// The bearer token.
    #[serde(default, deserialize_with = "nullable")]
    pub token: String,
    /// The bearer token under OAuth 2's name.
    #[serde(default, deserialize_with = "nullable")]
    pub access_token: String,
    /// Seconds it is good for; the specification's default is 60.
    #[serde(default, deserialize_with = "nullable")]
    pub expires_in: Option<u64>,
    /// When it was made, RFC 3339.
    #[serde(default, deserialize_with = "nullable")]
    pub issued_at: Option<String>,
    /// For asking again without the password.
    #[serde(default, deserialize_with = "nullable")]
    pub refresh_token: Option<String>,
}

impl Token {
    /// The bearer token under whichever name it came, or `None` if it came under neither.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        [self.token.as_str(), self.access_token.as_str()]
            .into_iter()
            .find(|text| !text.is_empty())
    }
}

/// Never shows the token (S12).
impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Token")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// The tags of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagList {
    /// Name of the repository.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Its tags.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<String>,
}

/// The repositories of a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Names of the repositories.
    #[serde(default, deserialize_with = "nullable")]
    pub repositories: Vec<String>,
}

/// Go writes nil lists as `null`; here they are empty.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_whole_or_bare() {
        let text = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        let errors: Errors = serde_json::from_str(text).unwrap();
        assert_eq!(errors.errors[0].code, code::MANIFEST_UNKNOWN);
        let bare: Errors = serde_json::from_str(r#"{"errors":null}"#).unwrap();
        assert!(bare.errors.is_empty());
    }

    #[test]
    fn a_token_has_two_names_and_is_never_printed() {
        let token: Token = serde_json::from_str(r#"{"token":"","access_token":"abc"}"#).unwrap();
        assert_eq!(token.bearer(), Some("abc"));
        assert!(!format!("{token:?}").contains("abc"));
        let none: Token = serde_json::from_str("{}").unwrap();
        assert_eq!(none.bearer(), None);
    }

    #[test]
    fn an_empty_repository_has_null_tags() {
        let list: TagList = serde_json::from_str(r#"{"name":"a","tags":null}"#).unwrap();
        assert!(list.tags.is_empty());
    }
}
