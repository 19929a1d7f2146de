//! API versions: `1.24` to `1.55`.

use std::fmt;
use std::str::FromStr;

/// A version of the Engine API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Before the dot.
    pub major: u16,
    /// After the dot.
    pub minor: u16,
}

impl ApiVersion {
    /// The newest we speak; what a path without version means.
    pub const NEWEST: ApiVersion = ApiVersion {
        major: 1,
        minor: 55,
    };
    /// The oldest we speak.
    pub const OLDEST: ApiVersion = ApiVersion {
        major: 1,
        minor: 24,
    };

    /// A version of these parts.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Reads `1.41`; a leading `v` is allowed.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.strip_prefix('v').unwrap_or(text).split_once('.')?;
        let number = |t: &str| {
            t.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| t.parse().ok())
                .flatten()
        };
        Some(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that is no API version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid API version: {0}")]
pub struct VersionError(String);

impl FromStr for ApiVersion {
    type Err = VersionError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| VersionError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let parse = |t| ApiVersion::parse(t).unwrap();
        assert!(parse("1.9") < parse("v1.24"));
        assert_eq!(parse("1.55"), ApiVersion::NEWEST);
        assert_eq!(ApiVersion::OLDEST.to_string(), "1.24");
        for bad in ["", "1", "1.", ".1", "1.x", "1.+4", "1.2.3"] {
            assert!(ApiVersion::parse(bad).is_none(), "{bad}");
        }
    }
}
