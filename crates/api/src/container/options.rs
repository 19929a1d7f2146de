//! The options of what can be done to containers: query parameters, read.

use onggi_model::{Filters, Timestamp};

use crate::go::document;

/// Which containers to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// Only the newest so many.
    pub limit: Option<usize>,
    /// With sizes.
    pub size: bool,
    /// Only those that fit.
    pub filters: Filters,
}

/// How much of a log to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogsOptions {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Stay, and pass on what comes.
    pub follow: bool,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only up to this time.
    pub until: Option<Timestamp>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Only so many lines from the end.
    pub tail: Option<u64>,
    /// Each line has the log's attributes.
    pub details: bool,
}

/// What to attach to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// What comes from now on.
    pub stream: bool,
    /// What was logged before.
    pub logs: bool,
    /// The keys that detach; the default when `None`.
    pub detach_keys: Option<String>,
}

/// What goes with a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Kill it if it runs.
    pub force: bool,
    /// Its anonymous volumes, too.
    pub volumes: bool,
    /// Not the container but a link.
    pub link: bool,
}

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// That it does not run: at once if it does not.
    #[default]
    NotRunning,
    /// Its next exit, even if it does not run now.
    NextExit,
    /// Its removal.
    Removed,
}

impl WaitCondition {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRunning => "not-running",
            Self::NextExit => "next-exit",
            Self::Removed => "removed",
        }
    }

    /// Reads Docker's word; the empty text is `not-running`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "not-running" => Some(Self::NotRunning),
            "next-exit" => Some(Self::NextExit),
            "removed" => Some(Self::Removed),
            _ => None,
        }
    }
}

document! {
    /// How a container ended.
    pub struct WaitResponse {
        pub status_code: i64 => "StatusCode";
        pub error: Option<WaitError> => "Error" @omitempty;
    }
}

document! {
    /// Why it could not be waited for.
    pub struct WaitError {
        pub message: String => "Message" @omitempty;
    }
}
