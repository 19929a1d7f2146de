//! Names of repositories, and what follows them: tags and digests.

use std::fmt;

use onggi_model::{Digest, DigestError, ImageRef};

/// The longest name: as a file name it must fit into one entry of a folder.
const LONGEST: usize = 255;

/// A repository's name: lower-case words joined by `.`, `_`, `__` or dashes, in components joined by slashes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RepositoryName(String);

impl RepositoryName {
    /// Parses the specification's grammar; `None` when it is no name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let good = text.len() <= LONGEST && text.split('/').all(is_component);
        good.then(|| Self(text.to_owned()))
    }

    /// The name as one component of a path.
    pub(crate) fn file_name(&self) -> String {
        self.0.replace('/', "+")
    }

    /// The name that [`RepositoryName::file_name`] was made of.
    pub(crate) fn from_file_name(text: &str) -> Option<Self> {
        if text.contains('/') {
            return None;
        }
        Self::parse(&text.replace('+', "/"))
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(word) || !bytes.last().is_some_and(word) {
        return false;
    }
    bytes.split(word).all(|between| {
        matches!(between, b"" | b"." | b"_" | b"__") || between.iter().all(|b| *b == b'-')
    })
}

/// What a manifest is asked by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A tag.
    Tag(String),
    /// A digest.
    Digest(Digest),
}

/// Why a text is neither a tag nor a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReferenceError {
    /// No tag.
    Tag,
    /// It has a colon, and is no digest.
    Digest(DigestError),
}

impl Reference {
    /// Parses a tag or a digest.
    pub(crate) fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            return Digest::parse(text)
                .map(Self::Digest)
                .map_err(ReferenceError::Digest);
        }
        if ImageRef::is_tag(text) {
            Ok(Self::Tag(text.to_owned()))
        } else {
            Err(ReferenceError::Tag)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Tag(tag) => f.write_str(tag),
            Reference::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_the_grammar() {
        for good in [
            "a",
            "a/b",
            "library/busy-box",
            "a.b_c__d---e/0",
            "blobs",
            "a/blobs",
        ] {
            let name = RepositoryName::parse(good).unwrap();
            assert_eq!(
                RepositoryName::from_file_name(&name.file_name()),
                Some(name)
            );
        }
        let long = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", ".", "..", "a/../b", "-a", "a-", "a._b",
            "a___b", "_a", "a+b", "a%2fb", "a b", "a\0", "a:b", "ä", &long,
        ] {
            assert_eq!(RepositoryName::parse(bad), None, "{bad:?}");
        }
        assert!(RepositoryName::parse(&"a".repeat(255)).is_some());
        assert_eq!(RepositoryName::from_file_name("a/b"), None);
    }

    #[test]
    fn references_are_tags_or_digests() {
        let digest = format!("sha256:{}", "0".repeat(64));
        assert!(matches!(
            Reference::parse(&digest),
            Ok(Reference::Digest(_))
        ));
        assert_eq!(
            Reference::parse("v1.0"),
            Ok(Reference::Tag("v1.0".to_owned()))
        );
        for bad in ["", ".", "..", "-a", "a/b", "a b"] {
            assert_eq!(Reference::parse(bad), Err(ReferenceError::Tag), "{bad:?}");
        }
        for bad in ["sha256:", "md5:00", "sha256:../../x", ":"] {
            assert!(
                matches!(Reference::parse(bad), Err(ReferenceError::Digest(_))),
                "{bad:?}"
            );
        }
    }
}
