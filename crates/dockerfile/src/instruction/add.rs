//! `ADD [flags] <source>... <destination>`

use serde::Serialize;

use super::copy::{Sources, sources};
use crate::flags::{Flags, Takes};
use crate::{Error, Statement};

/// Files, archives, URLs and git repositories into the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Add {
    /// What, and where to.
    #[serde(flatten)]
    pub sources: Sources,
    /// `--chown=user:group`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chown: Option<String>,
    /// `--chmod=0644`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chmod: Option<String>,
    /// `--checksum=sha256:...`, of a URL or a git commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// `--exclude=pattern`, each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// `--link`: a layer of its own, whatever is below.
    pub link: bool,
    /// `--keep-git-dir`
    pub keep_git_dir: bool,
    /// `--unpack`: archives are unpacked, also from URLs, or never; by itself local ones are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpack: Option<bool>,
}

pub(super) fn parse(statement: &Statement) -> Result<Add, Error> {
    let sources = sources(statement, "ADD")?;
    let flags = Flags::of(
        statement,
        &[
            ("chown", Takes::Value),
            ("chmod", Takes::Value),
            ("link", Takes::Truth),
            ("keep-git-dir", Takes::Truth),
            ("checksum", Takes::Value),
            ("unpack", Takes::Truth),
            ("exclude", Takes::Values),
        ],
    )?;
    Ok(Add {
        sources,
        chown: flags.value("chown"),
        chmod: flags.value("chmod"),
        checksum: flags.value("checksum"),
        exclude: flags.values("exclude"),
        link: flags.truth("link").unwrap_or(false),
        keep_git_dir: flags.truth("keep-git-dir").unwrap_or(false),
        unpack: flags.truth("unpack"),
    })
}
