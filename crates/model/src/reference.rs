//! `ImageRef`: how people name images. Docker's grammar, with its shorthands resolved.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Digest, DigestError};
use crate::{ErrorKind, Fault};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const MAX_NAME: usize = 255;

/// Why a text names no image. Texts as Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// Upper-case letters in the name.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// 64 hex digits, which would be taken for an id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    /// More than 255 characters.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// The part after `@` is no digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Fault for ReferenceError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// A full image name: registry, repository, and tag or digest or both.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageRef {
    /// Parses a name as people write it; without tag and digest the tag is `latest`.
    ///
    /// # Errors
    /// [`ReferenceError`], always of kind `InvalidParameter`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let mut reference = Self::parse_untagged(text)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some(DEFAULT_TAG.to_owned());
        }
        Ok(reference)
    }

    /// Parses a name and leaves the tag away when the text has none.
    ///
    /// # Errors
    /// As [`ImageRef::parse`].
    pub fn parse_untagged(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && crate::is_hex(text) {
            return Err(ReferenceError::Identifier(text.to_owned()));
        }
        let (domain, remainder) = split_domain(text);
        let remote = remainder.split(':').next().unwrap_or("");
        if remote.chars().any(char::is_uppercase) {
            return Err(ReferenceError::Uppercase(remote.to_owned()));
        }
        let (name, digest) = match remainder.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (remainder.as_str(), None),
        };
        let (path, tag) = match name.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (name, None),
        };
        let good = is_domain(&domain)
            && path.split('/').all(is_path_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(looks_like_digest);
        if !good {
            return Err(ReferenceError::Format);
        }
        if path.len() > MAX_NAME {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self {
            domain,
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(Digest::parse).transpose()?,
        })
    }

    /// The registry: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if any.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if any.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Registry and repository: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The repository as people see it: `busybox`, `user/app`, `localhost:5000/app`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        // `docker.io/library/a/b` keeps its prefix: `a/b` would be another repository.
        let short = match self.path.strip_prefix(OFFICIAL_PREFIX) {
            Some(official) if !official.contains('/') => official,
            _ => &self.path,
        };
        // And so does `docker.io/a.b/c`: `a.b` would be another registry.
        let (domain, path) = split_domain(short);
        if domain == self.domain && path == self.path {
            short.to_owned()
        } else {
            self.name()
        }
    }

    /// The whole name as people see it: `busybox:latest`, `busybox@sha256:...`.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }

    /// The same repository with this tag and no digest.
    ///
    /// # Errors
    /// [`ReferenceError::Format`] when the text is no tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Format);
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// The same repository with this digest and no tag.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same repository without tag and digest.
    pub fn repository(&self) -> Self {
        Self {
            tag: None,
            digest: None,
            ..self.clone()
        }
    }

    /// Whether the text is a tag: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
    pub fn is_tag(text: &str) -> bool {
        is_tag(text)
    }
}

/// The first component is a registry if it looks like a host (a dot, a colon, `localhost`, an upper-case letter).
fn split_domain(text: &str) -> (String, String) {
    let (domain, mut remainder) = match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(char::is_uppercase) =>
        {
            (first, rest.to_owned())
        }
        _ => (DEFAULT_DOMAIN, text.to_owned()),
    };
    let domain = if domain == LEGACY_DOMAIN {
        DEFAULT_DOMAIN
    } else {
        domain
    };
    if domain == DEFAULT_DOMAIN && !remainder.contains('/') {
        remainder.insert_str(0, OFFICIAL_PREFIX);
    }
    (domain.to_owned(), remainder)
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = if let Some(rest) = domain.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else {
            return false;
        };
        if inside.is_empty() || !inside.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
            return false;
        }
        match after.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if after.is_empty() => (None, None),
            None => return false,
        }
    } else {
        match domain.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(domain), None),
        }
    };
    let component = |c: &str| {
        !c.is_empty()
            && c.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !c.starts_with('-')
            && !c.ends_with('-')
    };
    host.is_none_or(|host| host.split('.').all(component))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !word(*first) || !word(*last) {
        return false;
    }
    bytes
        .split(|b| word(*b))
        .all(|gap| matches!(gap, b"" | b"." | b"_" | b"__") || gap.iter().all(|b| *b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    tag.len() <= 128
        && bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn looks_like_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    algorithm.split(['-', '_', '+', '.']).all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    }) && hex.len() >= 32
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.suffixed(self.name()))
    }
}

impl fmt::Debug for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

impl FromStr for ImageRef {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for ImageRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_untagged(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn resolves_shorthands() {
        for (text, canonical, familiar) in [
            (
                "busybox",
                "docker.io/library/busybox:latest",
                "busybox:latest",
            ),
            (
                "busybox:1.36",
                "docker.io/library/busybox:1.36",
                "busybox:1.36",
            ),
            ("user/app", "docker.io/user/app:latest", "user/app:latest"),
            (
                "docker.io/busybox",
                "docker.io/library/busybox:latest",
                "busybox:latest",
            ),
            (
                "index.docker.io/library/busybox",
                "docker.io/library/busybox:latest",
                "busybox:latest",
            ),
            (
                "localhost/app",
                "localhost/app:latest",
                "localhost/app:latest",
            ),
            (
                "localhost:5000/app:v1",
                "localhost:5000/app:v1",
                "localhost:5000/app:v1",
            ),
            (
                "127.0.0.1:5000/a/b",
                "127.0.0.1:5000/a/b:latest",
                "127.0.0.1:5000/a/b:latest",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("UPPER/app", "UPPER/app:latest", "UPPER/app:latest"),
            (
                "ghcr.io/a/b__c--d.e:T_.-",
                "ghcr.io/a/b__c--d.e:T_.-",
                "ghcr.io/a/b__c--d.e:T_.-",
            ),
            (
                "docker.io/library/a/b",
                "docker.io/library/a/b:latest",
                "library/a/b:latest",
            ),
            (
                "docker.io/a.b/c",
                "docker.io/a.b/c:latest",
                "docker.io/a.b/c:latest",
            ),
        ] {
            let reference = ImageRef::parse(text).unwrap();
            assert_eq!(reference.to_string(), canonical, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(ImageRef::parse(canonical).unwrap(), reference);
            assert_eq!(ImageRef::parse(familiar).unwrap(), reference);
        }
    }

    #[test]
    fn keeps_tag_and_digest() {
        let text = format!("busybox:1@sha256:{}", hex());
        let both = ImageRef::parse(&text).unwrap();
        assert_eq!(both.tag(), Some("1"));
        assert_eq!(both.digest().unwrap().hex(), hex());
        assert_eq!(both.familiar(), text);
        let digest_only = ImageRef::parse(&format!("busybox@sha256:{}", hex())).unwrap();
        assert_eq!(digest_only.tag(), None);
        assert_eq!(both.with_tag("2").unwrap().familiar(), "busybox:2");
        assert_eq!(
            both.with_digest(both.digest().unwrap().clone()),
            digest_only
        );
        assert_eq!(ImageRef::parse_untagged("busybox").unwrap().tag(), None);
        assert_eq!(
            digest_only.repository().to_string(),
            "docker.io/library/busybox"
        );
    }

    #[test]
    fn refuses_in_dockers_words() {
        for bad in [
            "",
            ":",
            "busybox:",
            "busybox@",
            "-busybox",
            "busybox-",
            "a//b",
            "a/",
            "/a",
            "a b",
            "a..b",
            "a___b",
            "a._b",
            "busybox:-x",
            "busybox@sha256:abc",
            "busy\u{e9}",
            "http://a/b",
            "a:b:c",
            "host-.com/a",
            "localhost:/a",
            "[::1/a",
        ] {
            assert_eq!(ImageRef::parse(bad), Err(ReferenceError::Format), "{bad:?}");
        }
        assert_eq!(
            ImageRef::parse("Busybox").unwrap_err().to_string(),
            "invalid reference format: repository name (library/Busybox) must be lowercase"
        );
        assert_eq!(
            ImageRef::parse(&hex()).unwrap_err().to_string(),
            format!(
                "invalid repository name ({}), cannot specify 64-byte hexadecimal strings",
                hex()
            )
        );
        assert_eq!(
            ImageRef::parse(&format!("a@md5:{}", &hex()[..32])),
            Err(ReferenceError::Digest(DigestError::Algorithm))
        );
        assert_eq!(
            ImageRef::parse(&format!("x/{}", "a".repeat(256))),
            Err(ReferenceError::TooLong)
        );
        assert!(ImageRef::parse(&format!("a:{}", "t".repeat(129))).is_err());
        assert!(ImageRef::parse(&format!("a:{}", "t".repeat(128))).is_ok());
    }
}
