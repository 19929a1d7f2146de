//! `--build-context NAME=...`: further contexts that `FROM`, `COPY --from` and `RUN --mount` find by name.

use std::path::PathBuf;

use onggi_model::ImageRef;

use super::context::is_remote;
use crate::args::Matches;
use crate::error::{Error, Result};

/// A context with a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) place: Place,
}

/// Where it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A directory here, which is sent along.
    Local(PathBuf),
    /// For the daemon to fetch: an image, a repository, an archive.
    Remote(String),
}

impl Place {
    /// As the daemon is told.
    pub(super) fn parameter(&self) -> &str {
        match self {
            Place::Local(_) => "local",
            Place::Remote(url) => url,
        }
    }
}

/// All of them; of two with one name the last counts.
///
/// # Errors
/// Names that can be none, and directories that are not there.
pub(super) fn contexts(matches: &Matches) -> Result<Vec<Named>> {
    let mut all: Vec<Named> = Vec::new();
    for text in matches.all("build-context") {
        let context = parse(text)?;
        all.retain(|other| other.name != context.name);
        all.push(context);
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

fn parse(text: &str) -> Result<Named> {
    let Some((name, place)) = text.split_once('=') else {
        return Err(Error::new(format!(
            "invalid context value: {text}, expected key=value"
        )));
    };
    let reference = ImageRef::parse_untagged(name)
        .map_err(|error| Error::new(format!("invalid context name {name}: {error}")))?;
    let name = reference.familiar();
    let name = name.strip_suffix(":latest").unwrap_or(&name).to_owned();
    let refused = |why: &str| Err(Error::new(format!("--build-context {text}: {why}")));
    let place = match place {
        place if place.starts_with("docker-image://") || is_remote(place) => {
            Place::Remote(place.to_owned())
        }
        place if place.starts_with("oci-layout://") => {
            return refused(
                "layouts of OCI are not supported: load the image, and name it with docker-image://",
            );
        }
        place => match std::fs::canonicalize(place) {
            Ok(path) if path.is_dir() => Place::Local(path),
            Ok(_) => return refused("no directory"),
            Err(error) => return refused(&crate::error::io_text(&error)),
        },
    };
    Ok(Named { name, place })
}
