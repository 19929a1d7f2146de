//! `linux/amd64`: what an image runs on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ErrorKind, Fault};

/// Operating system, architecture and variant, in Go's names, normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`, `arm64`, `arm`, ...
    pub architecture: String,
    /// `v7` and the like; `None` where the architecture has only one worth naming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a text is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Empty or oddly spelled component.
    #[error(
        "{component:?} is an invalid component of {platform:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\""
    )]
    Component {
        /// The whole text.
        platform: String,
        /// Its wrong part.
        component: String,
    },
    /// One component that is neither a known system nor a known architecture.
    #[error("{0:?}: unknown operating system or architecture")]
    Unknown(String),
    /// Too many components.
    #[error("{0:?}: cannot parse platform specifier")]
    Specifier(String),
}

impl Fault for PlatformError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl Platform {
    /// A platform of these parts, normalised (`x86_64` is `amd64`, `arm64/v8` is `arm64`).
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = variant.unwrap_or("").to_ascii_lowercase();
        let architecture = architecture.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386".to_owned(), String::new()),
            ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64".to_owned(), String::new()),
            ("x86_64" | "x86-64", v) => ("amd64".to_owned(), v.to_owned()),
            ("aarch64" | "arm64", "" | "8" | "v8" | "v8.0") => ("arm64".to_owned(), String::new()),
            ("aarch64", v) => ("arm64".to_owned(), v.to_owned()),
            ("armhf", _) => ("arm".to_owned(), "v7".to_owned()),
            ("armel", _) => ("arm".to_owned(), "v6".to_owned()),
            ("arm", "" | "7") => ("arm".to_owned(), "v7".to_owned()),
            ("arm", v @ ("5" | "6" | "8")) => ("arm".to_owned(), format!("v{v}")),
            (a, v) => (a.to_owned(), v.to_owned()),
        };
        Self {
            os,
            architecture,
            variant: (!variant.is_empty()).then_some(variant),
        }
    }

    /// Parses `os`, `architecture`, `os/architecture` or `os/architecture/variant`; what is left out is the
    /// host's.
    ///
    /// # Errors
    /// [`PlatformError`], always of kind `InvalidParameter`.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        for part in &parts {
            let good = !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
            if !good {
                return Err(PlatformError::Component {
                    platform: text.to_owned(),
                    component: (*part).to_owned(),
                });
            }
        }
        match parts[..] {
            [one] => {
                let host = Self::host();
                let lower = one.to_ascii_lowercase();
                if lower == "macos" || SYSTEMS.contains(&lower.as_str()) {
                    let variant = (lower == host.os)
                        .then_some(host.variant.as_deref())
                        .flatten();
                    return Ok(Self::new(one, &host.architecture, variant));
                }
                let platform = Self::new(&host.os, one, None);
                if ARCHITECTURES.contains(&platform.architecture.as_str()) {
                    Ok(platform)
                } else {
                    Err(PlatformError::Unknown(text.to_owned()))
                }
            }
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(PlatformError::Specifier(text.to_owned())),
        }
    }

    /// What this machine runs.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86" => "386",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            other => other,
        };
        Self::new("linux", architecture, None)
    }

    /// Whether an image of platform `image` runs where `self` is asked for: equal, or on arm an older variant;
    /// on amd64 the machine runs every lower microarchitecture level.
    pub fn matches(&self, image: &Platform) -> bool {
        if self.os != image.os {
            return false;
        }
        let level = |p: &Platform, default: u32| {
            p.variant.as_deref().map_or(Some(default), |v| {
                v.strip_prefix('v')?.split('.').next()?.parse().ok()
            })
        };
        match (self.architecture.as_str(), image.architecture.as_str()) {
            ("arm", "arm") => match (level(self, 7), level(image, 7)) {
                (Some(have), Some(need)) => need <= have,
                _ => self.variant == image.variant,
            },
            ("arm64", "arm") => level(image, 7).is_some_and(|need| need <= 8),
            ("arm64", "arm64") => match (level(self, 8), level(image, 8)) {
                (Some(have), Some(need)) => need <= have,
                _ => self.variant == image.variant,
            },
            ("amd64", "amd64") => match (level(self, 1), level(image, 1)) {
                (Some(have), Some(need)) => need <= have,
                _ => self.variant == image.variant,
            },
            ("amd64", "386") => true,
            (have, need) => have == need && self.variant == image.variant,
        }
    }

    /// How well an image that [`Platform::matches`] fits: lower is better, 0 is the very same platform.
    pub fn distance(&self, image: &Platform) -> u32 {
        let level = |p: &Platform, default: u32| {
            p.variant
                .as_deref()
                .and_then(|v| v.strip_prefix('v')?.split('.').next()?.parse().ok())
                .unwrap_or(default)
        };
        if self.architecture != image.architecture {
            let default = if image.architecture == "arm" { 7 } else { 1 };
            return 100 + 10u32.saturating_sub(level(image, default));
        }
        let default = match self.architecture.as_str() {
            "arm" => 7,
            "arm64" => 8,
            _ => 1,
        };
        level(self, default).abs_diff(level(image, default))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises() {
        for (text, printed) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(Platform::parse("linux").unwrap(), Platform::host());
        assert_eq!(Platform::parse("s390x").unwrap().to_string(), "linux/s390x");
        for bad in ["", "linux/", "a/b/c/d", "nosuch", "linux/am d64"] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn matches_what_the_machine_can_run() {
        let p = |t: &str| Platform::parse(t).unwrap();
        assert!(p("linux/amd64").matches(&p("linux/amd64")));
        assert!(!p("linux/amd64").matches(&p("linux/arm64")));
        assert!(!p("linux/amd64").matches(&p("linux/amd64/v3")));
        assert!(p("linux/arm/v7").matches(&p("linux/arm/v6")));
        assert!(!p("linux/arm/v6").matches(&p("linux/arm/v7")));
        assert!(p("linux/arm64").matches(&p("linux/arm/v7")));
        assert!(!p("windows/amd64").matches(&p("linux/amd64")));
        assert!(p("linux/arm/v7").distance(&p("linux/arm/v6")) > 0);
        assert_eq!(p("linux/amd64").distance(&p("linux/amd64")), 0);
        assert!(
            p("linux/amd64").distance(&p("linux/386"))
                > p("linux/amd64").distance(&p("linux/amd64"))
        );
    }
}
