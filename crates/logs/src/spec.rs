//! What a container's log is: driver, file, limits. Travels in the monitor's launch frame and lies in the
//! catalogue; the checks of user-given options (`max-size` as text and so on) are the engine's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Behind;

/// Who keeps the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    /// Docker's own format: one JSON object a line.
    #[default]
    #[serde(rename = "json-file")]
    JsonFile,
    /// Binary frames, smaller and faster; 20 MiB times 5 files unless told otherwise.
    #[serde(rename = "local")]
    Local,
    /// Nothing is kept.
    #[serde(rename = "none")]
    None,
}

impl Driver {
    /// The driver with this name in `--log-driver`; `None` for one that is not built in.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "json-file" => Some(Self::JsonFile),
            "local" => Some(Self::Local),
            "none" => Some(Self::None),
            _ => None,
        }
    }

    /// The name in `--log-driver` and `HostConfig.LogConfig.Type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::None => "none",
        }
    }
}

/// One container's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// Who keeps the records.
    pub driver: Driver,
    /// The current file; rotated ones lie beside it as `<path>.1`, `<path>.2`, ... Its folder must exist.
    pub path: PathBuf,
    /// A file of this many bytes or more is rotated before the next record. `None`: 20 MiB. `u64::MAX`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// How many files there may be, the current one included. `None`: 1 where there is a size, else 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file: Option<u32>,
    /// Whether rotated files are compressed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compress: bool,
    /// What goes with every record (`tag`, chosen labels and variables); json-file only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Somebody takes the log on, and the container is to wait when they are too far behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Behind>,
}

/// A log that nobody bounded is bounded all the same: a full disk stops more than one container.
const MAX_SIZE: u64 = 20 << 20;
const MAX_FILE: u32 = 5;

impl LogSpec {
    /// Bytes that are kept behind the current file.
    pub fn kept(&self) -> u64 {
        self.limit().saturating_mul(u64::from(self.files() - 1))
    }

    pub(crate) fn limit(&self) -> u64 {
        self.max_size.unwrap_or(MAX_SIZE)
    }

    pub(crate) fn files(&self) -> u32 {
        let default = match (self.driver, self.max_size) {
            (Driver::JsonFile, Some(_)) => 1,
            _ => MAX_FILE,
        };
        self.max_file.unwrap_or(default).max(1)
    }
}
