//! `RUN [flags] command`, `RUN [flags] ["program", "argument"]`, `RUN [flags] <<EOF`

use serde::Serialize;

use super::mount::Mount;
use crate::flags::{Flags, Takes};
use crate::{Error, Form, Statement};
use onggi_model::quote;

/// A command that changes the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// It.
    #[serde(flatten)]
    pub command: Command,
    /// `--mount=...`, each, as written: [`Mount::parse`] reads them when variables have values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// `--network=...`
    pub network: Network,
    /// `--security=...`
    pub security: Security,
    /// `--device=...`, each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// Which network a command has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// That of the build.
    #[default]
    Default,
    /// Only a loopback of its own.
    None,
    /// The host's.
    Host,
}

/// Which walls a command has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Those of a container.
    #[default]
    Sandbox,
    /// Those of a privileged one.
    Insecure,
}

/// A command, in either form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Program and arguments, or one text for the shell.
    pub command: Vec<String>,
    /// Which of both.
    pub form: Form,
    /// Here-documents behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<InlineScript>,
}

/// A here-document of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InlineScript {
    /// The word that ends it.
    pub name: String,
    /// Its text, tabs and all.
    pub content: String,
    /// Whether tabs before its lines do not count.
    pub chomp: bool,
}

impl Command {
    pub(super) fn of(statement: &Statement) -> Self {
        let scripts = statement.heredocs.iter().map(|document| InlineScript {
            name: document.name.clone(),
            content: document.content.clone(),
            chomp: document.chomp,
        });
        Self {
            command: statement.arguments.clone(),
            form: statement.form,
            scripts: scripts.collect(),
        }
    }
}

pub(super) fn parse(statement: &Statement) -> Result<Run, Error> {
    let flags = Flags::of(
        statement,
        &[
            ("mount", Takes::Values),
            ("network", Takes::Value),
            ("security", Takes::Value),
            ("device", Takes::Values),
        ],
    )?;
    let mounts = flags.values("mount");
    for mount in &mounts {
        Mount::check(mount)?;
    }
    let network = match flags.value("network").as_deref() {
        None | Some("default") => Network::Default,
        Some("none") => Network::None,
        Some("host") => Network::Host,
        Some(other) => {
            return Err(Error::new(format!(
                "unsupported network mode {}",
                quote(other)
            )));
        }
    };
    let security = match flags.value("security").as_deref() {
        None | Some("sandbox") => Security::Sandbox,
        Some("insecure") => Security::Insecure,
        Some(other) => {
            return Err(Error::new(format!(
                "security {} is not valid",
                quote(other)
            )));
        }
    };
    Ok(Run {
        command: Command::of(statement),
        mounts,
        network,
        security,
        devices: flags.values("device"),
    })
}
