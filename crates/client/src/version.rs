//! API versions and which one is spoken.

use std::fmt;

/// A version of the Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

/// The newest version this client speaks.
pub const NEWEST: Version = Version(1, 55);

/// What is spoken with a daemon that does not tell its version.
pub(crate) const OLDEST_SILENT: Version = Version(1, 24);

impl Version {
    /// Reads `1.41`; a leading `v` is fine.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().trim_start_matches('v').split_once('.')?;
        Some(Version(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}
