//! The file side of containers: `cp`, `diff`, `export`, `commit`, and the archive endpoint below them. What Docker
//! decides (names, kinds, texts) is also asked of dockerd, with the same tests.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod api; // the archive endpoint
mod copy; // cp, by our CLI and docker's
mod hostile; // containers and archives that want out
mod image; // commit, diff, export

use anyhow::{Context, Result};
use onggi_testkit::{Client, Daemon, DaemonOptions, Request, Response, Subject};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A daemon that has busybox.
fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

/// Does a test on our daemon and on dockerd, with our CLI and docker's, as far as they are here.
fn everywhere(test: impl Fn(&Daemon) -> Result<()>) -> Result<()> {
    let docker = Client::Docker(PathBuf::from(DOCKER));
    on(Subject::Onggi, Client::Onggi, &test)?;
    on(Subject::Onggi, docker.clone(), &test)?;
    on(Subject::Dockerd, docker, &test)?;
    on(Subject::Dockerd, Client::Onggi, &test)
}

/// Does a test that is about the API on our daemon and on dockerd.
fn both(test: impl Fn(&Daemon) -> Result<()>) -> Result<()> {
    on(Subject::Onggi, Client::Onggi, &test)?;
    on(Subject::Dockerd, Client::Onggi, &test)
}

const DOCKER: &str = "/usr/local/bin/docker";

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

/// Runs a container that does `script` and then sleeps; returns when the script is done.
fn sleeper(daemon: &Daemon, name: &str, flags: &[&str], script: &str) -> Result<()> {
    let script = format!("{script}\n[ $? = 0 ] && echo done; exec sleep 10000");
    let run = ["run", "-d", "--name", name, "--network", "none"];
    let command = ["busybox", "sh", "-c", &script];
    daemon.cli(&[&run, flags, &command].concat())?.ok()?;
    onggi_testkit::wait_until("the script to be done", onggi_testkit::LIMIT, || {
        let logs = daemon.cli(&["logs", name]).ok()?;
        logs.stdout.contains("done").then_some(())
    })
}

/// `PUT` of a tar into a directory of a container.
fn put(daemon: &Daemon, container: &str, query: &str, tar: &[u8]) -> Result<Response> {
    let path = format!("/containers/{container}/archive?{query}");
    daemon.send(&Request::new("PUT", &path).body("application/x-tar", tar))
}

/// What `tar` lists of an archive, line by line: kind, mode, owner by number, size, name, target.
fn listing(tar: &[u8]) -> Result<Vec<String>> {
    let file = tempfile(tar)?;
    let output = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(file.0.as_os_str())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        // The time.
        words.drain(3..5);
        words.join(" ")
    };
    Ok(text.lines().map(line).collect())
}

/// A file that goes when it is dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn tempfile(bytes: &[u8]) -> Result<Temporary> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("onggi-files-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes)?;
    Ok(Temporary(path))
}
