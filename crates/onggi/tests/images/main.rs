//! Images among themselves: which was made from which, lists and their filters, manifests and platforms. What Docker
//! decides is also asked of dockerd, with the same tests.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod lists; // filters, the tree
mod parents; // removal of what others were made from
mod platforms; // manifests, and asking for one platform

use anyhow::{Context, Result};
use onggi_testkit::{Client, Daemon, DaemonOptions, Subject};
use std::path::{Path, PathBuf};

const DOCKER: &str = "/usr/local/bin/docker";

/// Does a test on our daemon with our CLI and docker's, and on dockerd.
fn everywhere(test: impl Fn(&Daemon) -> Result<()>) -> Result<()> {
    let docker = Client::Docker(PathBuf::from(DOCKER));
    on(Subject::Onggi, Client::Onggi, &test)?;
    on(Subject::Onggi, docker, &test)?;
    on(Subject::Dockerd, Client::Onggi, &test)
}

fn on(subject: Subject, client: Client, test: impl Fn(&Daemon) -> Result<()>) -> Result<()> {
    let name = format!("{subject:?} with {client:?}");
    let missing = match (&subject, &client) {
        (_, Client::Docker(path)) if !path.exists() => Some("docker CLI"),
        (Subject::Dockerd, _) if !Path::new("/usr/sbin/dockerd").exists() => Some("dockerd"),
        _ => None,
    };
    if let Some(missing) = missing {
        eprintln!("{name}: skipped, no {missing} is installed");
        return Ok(());
    }
    let daemon = Daemon::start_with(DaemonOptions {
        subject: Some(subject),
        client: Some(client),
        ..DaemonOptions::default()
    })?;
    let run = || {
        daemon.load_busybox()?;
        test(&daemon)?;
        daemon.clean()
    };
    run().with_context(|| name)
}

/// An image made from another one by commit; its ID.
fn commit(daemon: &Daemon, from: &str, name: &str) -> Result<String> {
    let script = format!("echo {name} > /made-{name}");
    daemon
        .cli(&[
            "run",
            "--name",
            "maker",
            "--network",
            "none",
            from,
            "sh",
            "-c",
            &script,
        ])?
        .ok()?;
    let output = daemon.cli(&["commit", "maker", name])?;
    let id = output.ok()?.to_owned();
    daemon.cli(&["rm", "maker"])?.ok()?;
    Ok(id)
}
