//! `daemon.json` and the daemon's flags: what takes effect, what is refused, what a reload takes up.

mod defaults; // what containers get that say nothing
mod files; // what a daemon starts with, and what not
mod reload; // SIGHUP

use anyhow::Result;
use onggi_testkit::{Daemon, Subject};
use serde_json::Value;
use std::fs;

/// A daemon that runs with this file. `None` where dockerd is the subject: these are our defaults and our words.
fn daemon(file: &Value) -> Result<Option<Daemon>> {
    if Subject::from_env()? != Subject::Onggi {
        return Ok(None);
    }
    let mut daemon = Daemon::start()?;
    daemon.stop()?;
    fs::write(daemon.path("daemon.json"), file.to_string())?;
    daemon.run()?;
    Ok(Some(daemon))
}

fn info(daemon: &Daemon) -> Result<Value> {
    daemon.get("/info")?.ok()?.json()
}
