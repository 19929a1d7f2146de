//! The command line on a daemon: ways to reach it, contexts, plugins, and what Docker's lacks.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod connection; // TLS, ssh, contexts
mod deaths; // why
mod debug; // files as they are read
mod output; // formats and settings of config.json
mod plugins; // programs that bring commands
mod recipes; // inspect --as
mod streams; // signals, detach keys, attached streams

use anyhow::{Result, ensure};
use onggi_testkit::Daemon;
use std::path::Path;

/// Whether the command line under test is ours: what Docker's lacks is not asked of it.
fn ours() -> bool {
    onggi_testkit::Client::from_env() == onggi_testkit::Client::Onggi
}

/// A script in a file that can be executed.
fn script(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, format!("#!/bin/sh\n{text}\n"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Writes the client's `config.json`.
fn configure(daemon: &Daemon, text: &str) -> Result<()> {
    std::fs::create_dir_all(daemon.path("config"))?;
    std::fs::write(daemon.path("config/config.json"), text)?;
    Ok(())
}

/// Whether all of these are in the text, in this order.
fn says(text: &str, parts: &[&str]) -> Result<()> {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else {
            anyhow::bail!("{part:?} is not in (the rest of):\n{text}");
        };
        rest = &rest[at + part.len()..];
    }
    ensure!(!text.is_empty());
    Ok(())
}
