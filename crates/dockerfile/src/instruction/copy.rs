//! `COPY [flags] <source>... <destination>`

use serde::Serialize;

use crate::flags::{Flags, Takes};
use crate::heredoc::Heredoc;
use crate::{Error, Statement};

/// Files of the context, of a stage or of an image into the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// What, and where to.
    #[serde(flatten)]
    pub sources: Sources,
    /// `--from=build`: a stage by name or number, a named context, or an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `--chown=user:group`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chown: Option<String>,
    /// `--chmod=0644`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chmod: Option<String>,
    /// `--exclude=pattern`, each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// `--link`: a layer of its own, whatever is below.
    pub link: bool,
    /// `--parents`: directories of the sources are kept.
    pub parents: bool,
}

/// What ADD and COPY take from where to where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// Paths and URLs, with wildcards.
    pub sources: Vec<String>,
    /// Files that stand in the Dockerfile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<InlineFile>,
    /// Where to: a directory if it ends with a slash.
    pub destination: String,
}

/// A here-document as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InlineFile {
    /// Its name.
    pub name: String,
    /// Its text.
    pub content: String,
    /// Whether variables in it have values.
    pub expand: bool,
}

pub(super) fn parse(statement: &Statement) -> Result<Copy, Error> {
    let sources = sources(statement, "COPY")?;
    let flags = Flags::of(
        statement,
        &[
            ("chown", Takes::Value),
            ("from", Takes::Value),
            ("chmod", Takes::Value),
            ("link", Takes::Truth),
            ("parents", Takes::Truth),
            ("exclude", Takes::Values),
        ],
    )?;
    Ok(Copy {
        sources,
        from: flags.value("from"),
        chown: flags.value("chown"),
        chmod: flags.value("chmod"),
        exclude: flags.values("exclude"),
        link: flags.truth("link").unwrap_or(false),
        parents: flags.truth("parents").unwrap_or(false),
    })
}

/// The arguments of ADD and COPY.
pub(super) fn sources(statement: &Statement, name: &str) -> Result<Sources, Error> {
    let Some((destination, sources)) = statement
        .arguments
        .split_last()
        .filter(|(_, sources)| !sources.is_empty())
    else {
        return Err(Error::new(format!(
            "{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        )));
    };
    let asks = |word: &str| Heredoc::parse(word).ok().flatten();
    if asks(destination).is_some() {
        return Err(Error::new(format!(
            "{name} cannot accept a heredoc as a destination"
        )));
    }
    let mut paths = Vec::new();
    let mut files = Vec::new();
    for source in sources {
        match asks(source) {
            None => paths.push(source.clone()),
            Some(asked) => {
                let document = statement
                    .heredocs
                    .iter()
                    .find(|document| document.name == asked.name);
                files.push(InlineFile {
                    content: document.map(Heredoc::text).unwrap_or_default(),
                    expand: asked.expand,
                    name: asked.name,
                });
            }
        }
    }
    Ok(Sources {
        sources: paths,
        files,
        destination: destination.clone(),
    })
}
