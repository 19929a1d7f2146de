//! From nothing to a web server in a container, on this machine, and back to nothing.
//!
//! The engine runs in a network namespace of its own with its data below `/tmp`: what is on the machine stays as it
//! is, and a census at the end shows it. `ONGGI_SUBJECT=dockerd ONGGI_CLIENT=/usr/bin/docker` runs the same demo with
//! Docker, which tells whether the demo or the engine is wrong.

use crate::packages;
use crate::programs::{Build, stage};
use anyhow::{Context, Result, bail, ensure};
use onggi_cgroup::Cgroups;
use onggi_testkit::{
    Binaries, Census, Client, Daemon, DaemonOptions, Image, LIMIT, Namespace, Request, Subject,
    wait_until,
};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

const PAGE: &str = "Hello from a container.";

/// Runs it.
pub(crate) fn run() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("containers need root here: run this as root");
    }
    packages::install(&[packages::BUILD, packages::DEMO])?;
    let subject = Subject::from_env()?;
    let binaries = match (subject, Client::from_env()) {
        (Subject::Dockerd, Client::Docker(_)) => None,
        _ => Some(Binaries::at(stage(Build::Release)?)),
    };
    let machine = Namespace::current()?;
    let nowhere = Path::new("/nonexistent");
    let before = Census::take(&machine, nowhere)?;
    let parents = absent_parents()?;

    let daemon = Daemon::start_with(DaemonOptions {
        subject: Some(subject),
        binaries,
        ..DaemonOptions::default()
    })?;
    say("an engine of our own", &daemon.host());
    show(&daemon)?;
    clean(daemon)?;

    for path in parents {
        let _ = Cgroups::probe()?
            .open(path)
            .map(|group| group.remove_if_empty());
    }
    let left = Census::take(&machine, nowhere)?.since(&before, None);
    ensure!(
        left.links.is_empty() && left.tables.is_empty(),
        "left on the machine: {left:#?}"
    );
    println!(
        "\nThe machine is as it was: no process, mount, cgroup, link or nftables table is left."
    );
    Ok(())
}

fn show(daemon: &Daemon) -> Result<()> {
    // No image registry is needed: the image is made of Debian's busybox.
    let tar = daemon.path("busybox.tar");
    std::fs::write(&tar, Image::busybox()?.save(&["busybox:latest"])?)?;
    onggi(daemon, &["load", "-i", tar.to_str().context("path")?])?;
    onggi(daemon, &["images"])?;

    let start = Instant::now();
    let said = onggi(
        daemon,
        &[
            "run",
            "--rm",
            "busybox",
            "echo",
            "Hello from pid 1 of a container.",
        ],
    )?;
    ensure!(said == "Hello from pid 1 of a container.", "said {said:?}");
    println!("  ({} ms)", start.elapsed().as_millis());
    onggi(
        daemon,
        &[
            "run",
            "--rm",
            "--memory",
            "64m",
            "busybox",
            "sh",
            "-c",
            "id; hostname; ps",
        ],
    )?;

    let serve = format!("mkdir /www && echo '{PAGE}' > /www/index.html && exec httpd -f -h /www");
    onggi(
        daemon,
        &[
            "run", "-d", "--name", "web", "-p", "8080:80", "busybox", "sh", "-c", &serve,
        ],
    )?;
    let gateway = onggi(
        daemon,
        &[
            "inspect",
            "-f",
            "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}",
            "web",
        ],
    )?;
    for address in ["127.0.0.1", &gateway] {
        let text = wait_until("the web server to answer", LIMIT, || {
            fetch(daemon, address).ok()
        })?;
        ensure!(text == PAGE, "http://{address}:8080/ says {text:?}");
        println!("\n$ GET http://{address}:8080/\n  {text}");
    }
    onggi(daemon, &["ps"])?;
    onggi(daemon, &["rm", "-f", "web"])?;
    Ok(())
}

/// Removes everything, ends the daemon, and looks for leftovers while its namespace still exists.
fn clean(mut daemon: Daemon) -> Result<()> {
    daemon.clean()?;
    let code = daemon.stop()?;
    ensure!(code == 0, "the engine ended with {code}:\n{}", daemon.log());
    let left = daemon.leftovers()?.of_containers();
    ensure!(left.is_empty(), "left by the engine: {left:#?}");
    Ok(())
}

/// Runs the command line, shows what it says, and returns it.
fn onggi(daemon: &Daemon, arguments: &[&str]) -> Result<String> {
    println!(
        "\n$ onggi {}",
        arguments
            .iter()
            .map(|a| quoted(a))
            .collect::<Vec<_>>()
            .join(" ")
    );
    let output = daemon.cli(arguments)?;
    for line in output.stdout.lines().chain(output.stderr.lines()) {
        println!("  {line}");
    }
    Ok(output.ok()?.to_owned())
}

/// As it would be typed.
fn quoted(argument: &str) -> String {
    match argument {
        plain if !plain.contains([' ', ';', '{', '&', '\'']) => plain.to_owned(),
        text if text.contains('\'') => format!("\"{text}\""),
        text => format!("'{text}'"),
    }
}

fn fetch(daemon: &Daemon, address: &str) -> Result<String> {
    let stream = daemon
        .namespace()
        .run(|| TcpStream::connect((address, 8080)))??;
    stream.set_read_timeout(Some(LIMIT))?;
    let answer = Request::new("GET", "/").send(stream)?.ok()?;
    Ok(answer.text().trim().to_owned())
}

/// Groups that every engine on the machine shares, innermost first, as far as there are none yet.
fn absent_parents() -> Result<Vec<&'static str>> {
    let cgroups = Cgroups::probe()?;
    Ok(["/onggi/monitors", "/onggi"]
        .into_iter()
        .filter(|path| cgroups.open(path).is_err())
        .collect())
}

fn say(what: &str, value: &str) {
    println!("{what}: {value}");
}
