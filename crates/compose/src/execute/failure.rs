//! What went wrong.

use onggi_model::{ErrorKind, Fault};

use crate::error::Error;
use crate::plan::Act;

/// An operation that failed.
#[derive(Debug)]
pub struct Failed {
    /// The operation.
    pub act: Act,
    /// Why.
    pub failure: Failure,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The project cannot be had.
    #[error("{0}")]
    Project(#[from] Error),
    /// The engine refused, or cannot be reached.
    #[error("{0}")]
    Client(#[from] onggi_client::Error),
    /// What was waited for did not come, a hook failed, an image could not be built.
    #[error("{0}")]
    Other(String),
    /// These operations failed; those that need them were not done.
    #[error("{}", first(.0))]
    Operations(Vec<Failed>),
}

fn first(failed: &[Failed]) -> String {
    let texts = failed.iter().map(|failed| failed.failure.to_string());
    let mut all: Vec<String> = texts.collect();
    all.dedup();
    all.join("\n")
}

impl Fault for Failure {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Project(error) => error.kind(),
            Self::Client(error) => error.kind(),
            Self::Other(_) => ErrorKind::Internal,
            Self::Operations(failed) => {
                let first = failed.first();
                first.map_or(ErrorKind::Internal, |failed| failed.failure.kind())
            }
        }
    }

    fn culprit(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.culprit(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.hint(),
            Self::Operations(failed) => failed.first()?.failure.hint(),
            _ => None,
        }
    }
}
