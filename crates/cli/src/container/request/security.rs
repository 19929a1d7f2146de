//! `--security-opt`: most is the daemon's to understand; profiles in files are read here.

use std::collections::BTreeSet;

use onggi_api::container::HostConfig;

use crate::args::Matches;
use crate::error::{Error, Result};

/// `--cap-add` and `--cap-drop` by their full names, each once and in order.
pub(super) fn capabilities(matches: &Matches) -> (Vec<String>, Vec<String>) {
    let full = |name: &str| {
        let name = name.trim().to_uppercase();
        if name == "ALL" || name == "RESET" || name.starts_with("CAP_") {
            name
        } else {
            format!("CAP_{name}")
        }
    };
    let names = |flag| {
        matches
            .all(flag)
            .map(full)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    };
    (names("cap-add"), names("cap-drop"))
}

pub(super) fn apply(matches: &Matches, host: &mut HostConfig) -> Result<()> {
    let mut options = Vec::new();
    for option in matches.all("security-opt") {
        let (key, value) = match option.split_once('=').or_else(|| option.split_once(':')) {
            Some((key, value)) => (key, Some(value)),
            None => (option, None),
        };
        match (key, value) {
            ("no-new-privileges", None) => options.push(option.to_owned()),
            // What is only about paths is part of the request, not an option of the daemon.
            ("systempaths", Some("unconfined")) => {
                host.masked_paths = Some(Vec::new());
                host.readonly_paths = Some(Vec::new());
            }
            ("seccomp", Some(path)) if !matches!(path, "unconfined" | "builtin") => {
                let bytes = std::fs::read(path).map_err(|error| {
                    Error::new(format!(
                        "opening seccomp profile ({path}) failed: open {path}: {}",
                        crate::error::io_text(&error)
                    ))
                })?;
                let profile: serde_json::Value =
                    serde_json::from_slice(&bytes).map_err(|error| {
                        Error::new(format!(
                            "compacting json for seccomp profile ({path}) failed: {error}"
                        ))
                    })?;
                options.push(format!("seccomp={profile}"));
            }
            (_, Some(_)) => options.push(option.to_owned()),
            (_, None) => {
                return Err(Error::new(format!(
                    "Invalid --security-opt: {}",
                    crate::quote(option)
                )));
            }
        }
    }
    host.security_opt = Some(options).filter(|options| !options.is_empty());
    Ok(())
}
