//! Container ids (64 hex digits) and the rule for container names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::push_hex;
use crate::{ErrorKind, Fault};

/// Why a text is no id or no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not 64 lower-case hex digits.
    #[error("invalid container ID: {0:?}")]
    Id(String),
    /// Not a container name.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    Name(String),
}

impl Fault for NameError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// Whether the text is not empty and all lower-case hex digits: what an id or a part of one looks like.
pub fn is_hex(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Checks a container name by Docker's rule, `[a-zA-Z0-9][a-zA-Z0-9_.-]+`; one leading slash is allowed.
///
/// # Errors
/// [`NameError::Name`] with Docker's text.
pub fn check_container_name(name: &str) -> Result<(), NameError> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let mut bytes = bare.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bare.len() >= 2
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if good {
        Ok(())
    } else {
        Err(NameError::Name(name.to_owned()))
    }
}

/// A container's id: 64 lower-case hex digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(String);

impl ContainerId {
    /// Takes 64 lower-case hex digits.
    ///
    /// # Errors
    /// [`NameError::Id`] for anything else.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() == 64 && is_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Id(text.to_owned()))
        }
    }

    /// The id made of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut text = String::with_capacity(64);
        push_hex(&mut text, &bytes);
        Self(text)
    }

    /// A new id from the kernel's random numbers. Its short form always has a letter: a short id of
    /// digits only is a number to host names and YAML.
    ///
    /// # Errors
    /// When the kernel gives none: getrandom(2).
    pub fn random() -> std::io::Result<Self> {
        loop {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes)?;
            let id = Self::from_bytes(bytes);
            if !id.short().bytes().all(|b| b.is_ascii_digit()) {
                return Ok(id);
            }
        }
    }

    /// The first 12 digits, as people see ids.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContainerId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl AsRef<str> for ContainerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ContainerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for ContainerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContainerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_differ_and_parse() {
        let (a, b) = (
            ContainerId::random().unwrap(),
            ContainerId::random().unwrap(),
        );
        assert_ne!(a, b);
        assert_eq!(ContainerId::parse(a.as_str()).unwrap(), a);
        assert_eq!(a.short().len(), 12);
        assert!(ContainerId::parse("abc").is_err());
        assert!(ContainerId::parse(&"G".repeat(64)).is_err());
    }

    #[test]
    fn names_follow_dockers_rule() {
        for good in ["web", "/web", "a1", "A_.-", "0x"] {
            assert!(check_container_name(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "a", "-a", ".a", "a/b", "a b", "//ab", "ab\u{e9}"] {
            assert!(check_container_name(bad).is_err(), "{bad}");
        }
        assert_eq!(
            check_container_name("a b").unwrap_err().to_string(),
            "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        );
    }
}
