//! A request to a registry, before it is known which scheme and authentication it takes.

use std::fmt;
use std::sync::Arc;

use url::Url;

/// What to ask a registry for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) verb: Verb,
    pub(crate) at: At,
    /// `Accept`.
    pub(crate) accept: Option<String>,
    /// First byte wanted; 0 for all.
    pub(crate) from: u64,
    /// What is sent along.
    pub(crate) content: Option<Content>,
}

/// The methods of the distribution protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
}

/// Where to ask.
#[derive(Debug, Clone)]
pub(crate) enum At {
    /// Below `/v2/`, with its query.
    Path(String),
    /// Where the registry sent us for the rest of an upload.
    Url(Url),
}

/// The body of a request. It is made anew each time it is sent.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) media_type: String,
    pub(crate) length: u64,
    /// `Content-Range`, in the distribution specification's shape.
    pub(crate) range: Option<String>,
    pub(crate) body: Arc<dyn Fn() -> reqwest::Body + Send + Sync>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("media_type", &self.media_type)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Ask {
    pub(crate) fn new(verb: Verb, at: At) -> Ask {
        Ask {
            verb,
            at,
            accept: None,
            from: 0,
            content: None,
        }
    }

    /// As Go prints it.
    pub(crate) fn method(&self) -> &'static str {
        match self.verb {
            Verb::Get => "Get",
            Verb::Head => "Head",
            Verb::Post => "Post",
            Verb::Put => "Put",
            Verb::Patch => "Patch",
        }
    }

    /// Whether it changes something. Such a request is not sent on elsewhere, and may take long to send.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.verb, Verb::Post | Verb::Put | Verb::Patch)
    }
}
