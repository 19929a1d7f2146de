//! Archives in and out of a daemon: fetched from the web, and unpacked to what Docker unpacks them to.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod fetched; // import of a URL
mod trees; // images made of Debian packages, pulled and exported by us and by Docker
mod volumes; // what new volumes get from such images

use anyhow::{Context, Result};
use onggi_testkit::{Client, Daemon, DaemonOptions, Subject};
use std::path::Path;

/// Does a test on our daemon, and on dockerd where it is.
fn both(test: impl Fn(&Daemon) -> Result<()>) -> Result<()> {
    on(Subject::Onggi, &test)?;
    on(Subject::Dockerd, &test)
}

fn on(subject: Subject, test: impl Fn(&Daemon) -> Result<()>) -> Result<()> {
    if matches!(subject, Subject::Dockerd) && !has_dockerd() {
        return Ok(());
    }
    let name = format!("{subject:?}");
    let daemon = Daemon::start_with(DaemonOptions {
        subject: Some(subject),
        client: Some(Client::Onggi),
        ..DaemonOptions::default()
    })?;
    test(&daemon).context(name)
}

fn has_dockerd() -> bool {
    let there = Path::new("/usr/sbin/dockerd").exists();
    if !there {
        eprintln!("dockerd: skipped, it is not installed");
    }
    there
}
