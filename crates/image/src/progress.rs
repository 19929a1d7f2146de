//! What is told while it happens, in Docker's words. The engine makes its JSON messages from this.

use onggi_model::Digest;

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A line of text, of a layer or of the whole operation.
    Status {
        /// Short digest of a layer, or the tag.
        id: Option<String>,
        /// `Pulling fs layer`, `Digest: sha256:..`
        text: String,
    },
    /// How far something is.
    Transfer {
        /// Short digest of a layer.
        id: String,
        /// `Downloading`, `Extracting`, `Loading layer`.
        action: &'static str,
        /// Bytes so far.
        current: u64,
        /// Bytes in all; 0 when nobody knows.
        total: u64,
    },
    /// A tag that a registry has now, for programs.
    Pushed {
        /// The tag.
        tag: String,
        /// Digest of the manifest or index.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
}

impl Progress {
    pub(crate) fn status(id: impl Into<Option<String>>, text: impl Into<String>) -> Progress {
        Progress::Status {
            id: id.into(),
            text: text.into(),
        }
    }
}

/// Where news goes.
pub(crate) type Sink<'a> = &'a (dyn Fn(Progress) + Send + Sync);
