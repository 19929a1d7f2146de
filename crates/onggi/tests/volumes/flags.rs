//! Flags of `volume` that no other test shows. `docs/FLAGS.md` has all.

use crate::{cli, daemon, is_dockerd, refuses};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Request, Subject};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Each of them, and each endpoint, says that there is no swarm.
#[test]
fn volumes_of_a_swarm_are_refused() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "20.10 has no volumes of swarms") {
        return Ok(());
    }
    for (flag, value) in [
        ("availability", "drain"),
        ("group", "g"),
        ("limit-bytes", "1g"),
        ("required-bytes", "1m"),
        ("scope", "multi"),
        ("secret", "a=b"),
        ("sharing", "all"),
        ("topology-preferred", "a=b"),
        ("topology-required", "a=b"),
        ("type", "mount"),
    ] {
        let flag = format!("--{flag}");
        let text = format!("{flag}: volumes of a swarm are not there");
        refuses(&daemon, &["volume", "create", &flag, value, "vol"], &text)?;
    }
    refuses(
        &daemon,
        &["volume", "ls", "--cluster"],
        "--cluster: volumes of a swarm are not there",
    )?;
    cli(&daemon, &["volume", "create", "mine"])?;
    for arguments in [&["mine"][..], &["--availability", "pause", "mine"]] {
        refuses(
            &daemon,
            &[&["volume", "update"], arguments].concat(),
            "can only update cluster volumes",
        )?;
    }
    refuses(
        &daemon,
        &["volume", "update", "nosuch"],
        "get nosuch: no such volume",
    )?;
    refuses(&daemon, &["volume", "update"], "requires 1 argument")?;
    let request = Request::new("PUT", "/volumes/mine?version=1")
        .json(&json!({"Spec": {"Availability": "drain"}}));
    let answer = daemon.send(&request)?;
    ensure!(
        answer.status == 503
            && answer.json()?["message"]
                == "volume update only valid for cluster volumes, but swarm is unavailable",
        "{} {}",
        answer.status,
        answer.text()
    );
    let body = json!({"Name": "far", "ClusterVolumeSpec": {"Group": "g"}});
    let answer = daemon.post("/volumes/create", &body)?;
    let message = answer.json()?["message"].to_string();
    ensure!(
        answer.status == 503 && message.contains("This node is not a swarm manager."),
        "{} {message}",
        answer.status
    );
    daemon.clean()
}

#[test]
fn filters_of_the_list() -> Result<()> {
    let daemon = daemon()?;
    for (name, label) in [("one", "a=b"), ("two", "a"), ("three", "c=d")] {
        cli(&daemon, &["volume", "create", "--label", label, name])?;
    }
    cli(&daemon, &["create", "-v", "three:/t", "busybox"])?;
    for (filters, expected) in [
        (&["dangling=true"][..], "one\ntwo"),
        (&["dangling=1"], "one\ntwo"),
        (&["dangling=false"], "three"),
        (&["driver=local"], "one\nthree\ntwo"),
        (&["driver=loc"], ""),
        (&["driver=nfs", "driver=local"], "one\nthree\ntwo"),
        (&["label=a"], "one\ntwo"),
        (&["label=a=b"], "one"),
        (&["label=a", "label=c"], ""),
        (&["name=o"], "one\ntwo"),
        (&["name=^o"], "one"),
        (&["name=one", "name=three"], "one\nthree"),
        (&["name=t", "label=a"], "two"),
    ] {
        let mut arguments = vec!["volume", "ls", "-q"];
        for filter in filters {
            arguments.extend(["--filter", filter]);
        }
        let listed = cli(&daemon, &arguments)?;
        ensure!(listed == expected, "{filters:?}: {listed:?}");
    }
    daemon.clean()
}

/// Which volumes `system df` lists, what they hold and who has them, beside Docker.
#[test]
fn usage_is_as_docker_counts_it() -> Result<()> {
    let onggi = daemon()?;
    if is_dockerd(&onggi, "this is a comparison") {
        return Ok(());
    }
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("dockerd: skipped, it is not installed");
        return onggi.clean();
    }
    let docker = Daemon::start_with(DaemonOptions {
        subject: Some(Subject::Dockerd),
        client: Some(Client::Onggi),
        ..DaemonOptions::default()
    })?;
    docker.load_busybox()?;
    let mut seen = Vec::new();
    for daemon in [&onggi, &docker] {
        cli(daemon, &["volume", "create", "free"])?;
        let options = ["-o", "type=tmpfs", "-o", "device=tmpfs"];
        cli(
            daemon,
            &[&["volume", "create"], &options[..], &["mounted"]].concat(),
        )?;
        for name in ["one", "two"] {
            cli(
                daemon,
                &[
                    "create",
                    "--name",
                    name,
                    "-v",
                    "used:/u",
                    "-v",
                    "mounted:/m",
                    "busybox",
                ],
            )?;
        }
        let place = daemon.data_root().join("volumes/used/_data");
        fs::create_dir_all(place.join("sub/deep"))?;
        fs::write(place.join("file"), [7; 1000])?;
        fs::hard_link(place.join("file"), place.join("sub/again"))?;
        fs::write(place.join("sub/deep/other"), [7; 30])?;
        std::os::unix::fs::symlink("0123456789", place.join("link"))?;
        fs::File::create(place.join("sparse"))?.set_len(1 << 20)?;
        let usage = daemon.get("/v1.41/system/df")?.ok()?.json()?;
        let mut volumes: Vec<String> = usage["Volumes"]
            .as_array()
            .context("Volumes")?
            .iter()
            .map(|volume| format!("{} {}", volume["Name"], volume["UsageData"]))
            .collect();
        volumes.sort();
        seen.push(volumes);
    }
    ensure!(seen[0] == seen[1], "{:?}, Docker: {:?}", seen[0], seen[1]);
    onggi.clean()
}
