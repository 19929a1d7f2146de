//! `system adopt`: what a stopped dockerd left on the disk becomes ours, whole, and stays what it was for dockerd. The
//! other engine is Debian's, and everything in its data root was made by it.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod broken; // what cannot be taken
mod crash; // kill -9 in the middle
mod networks; // networks, and containers in them
mod tree; // files, compared
mod whole; // what is taken

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Entry, Image, Layer, Output, Subject};
use std::path::Path;

/// Docker's daemon with busybox; nothing where it is not installed.
fn docker(arguments: &[&str]) -> Result<Option<Daemon>> {
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("skipped, no dockerd is installed");
        return Ok(None);
    }
    let daemon = Daemon::start_with(DaemonOptions {
        subject: Some(Subject::Dockerd),
        client: Some(Client::Onggi),
        arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    Ok(Some(daemon))
}

/// Our daemon, without anything.
fn onggi() -> Result<Daemon> {
    Daemon::start_with(DaemonOptions {
        subject: Some(Subject::Onggi),
        client: Some(Client::Onggi),
        ..DaemonOptions::default()
    })
}

fn adopt(onggi: &Daemon, docker: &Daemon) -> Result<Output> {
    onggi.cli(&["system", "adopt", root_of(docker)?.as_str()])
}

fn root_of(docker: &Daemon) -> Result<String> {
    let root = docker.data_root();
    Ok(root.to_str().context("a path")?.to_owned())
}

/// The result in the line about a thing.
fn result<'a>(output: &'a Output, kind: &str, name: &str) -> Result<&'a str> {
    let mut lines = output.stdout.lines();
    let line = lines.find(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first() == Some(&kind) && words.contains(&name)
    });
    let line = line.with_context(|| format!("no line about {kind} {name}: {output:?}"))?;
    let at = line.find(name).context("the name")? + name.len();
    Ok(line[at..].trim())
}

/// An image of three layers: one with files, one that removes and replaces, one that adds.
fn layered() -> Result<Image> {
    let directory = |path: &str| Entry::Directory(path.to_owned(), 0o755);
    let file =
        |path: &str, text: &str| Entry::File(path.to_owned(), 0o644, text.as_bytes().to_vec());
    let middle = Layer::new(&[
        directory("data"),
        file("data/one", "1"),
        file("data/two", "2"),
        directory("data/deep"),
        file("data/deep/three", "3"),
        directory("cache"),
        file("cache/old", "old"),
    ])?;
    let top = Layer::new(&[
        directory("data"),
        file("data/.wh.one", ""),
        directory("cache"),
        file("cache/.wh..wh..opq", ""),
        file("cache/new", "new"),
        Entry::HardLink("cache/again".to_owned(), "cache/new".to_owned()),
        Entry::Link("data/link".to_owned(), "/cache/new".to_owned()),
    ])?;
    Ok(Image::busybox()?.layer(middle).layer(top))
}

/// Runs a container to its end.
fn run(daemon: &Daemon, arguments: &[&str]) -> Result<i32> {
    let output = daemon.cli(&[&["run"], arguments].concat())?;
    ensure!(output.code < 125, "{output:?}");
    Ok(output.code)
}
