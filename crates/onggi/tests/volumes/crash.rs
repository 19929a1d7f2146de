//! The daemon dies: volumes are whole or absent, and who holds them is known again.

use crate::{cli, daemon, is_dockerd, names, points, refuses};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{LIMIT, wait_until};
use serde_json::json;
use std::fs;

#[test]
fn who_holds_what_is_known_again() -> Result<()> {
    let mut daemon = daemon()?;
    cli(&daemon, &["volume", "create", "--label", "a=b", "free"])?;
    cli(
        &daemon,
        &[
            "run", "-d", "--name", "one", "-v", "data:/d", "-v", "/anon", "busybox", "sleep",
            "1000",
        ],
    )?;
    let before = (names(&daemon)?, points(&daemon, "one")?);
    if !is_dockerd(&daemon, "containers do not outlive it") {
        daemon.kill()?;
        daemon.run()?;
    }
    ensure!((names(&daemon)?, points(&daemon, "one")?) == before);
    refuses(&daemon, &["volume", "rm", "data"], "volume is in use")?;
    ensure!(
        cli(
            &daemon,
            &["volume", "inspect", "-f", "{{.Labels.a}}", "free"]
        )? == "b"
    );
    cli(&daemon, &["rm", "-fv", "one"])?;
    ensure!(names(&daemon)? == ["data", "free"]);
    daemon.clean()
}

/// Killed again and again while clients make and remove containers with volumes: after each start no volume is there
/// that no container of ours answers for, and no directory that is no volume.
#[test]
fn nothing_half_made_is_left() -> Result<()> {
    let mut daemon = daemon()?;
    if is_dockerd(&daemon, "it leaks") {
        return Ok(());
    }
    for round in 0..8_u32 {
        let api = daemon.api();
        let worker = std::thread::spawn(move || {
            // Until the daemon is gone.
            for n in 0_u32.. {
                let body = json!({"Image": "busybox", "Cmd": ["true"], "Volumes": {"/etc": {}, "/anon": {}},
                    "HostConfig": {"Binds": [format!("named{n}:/root")]}});
                let Ok(made) = api.post("/containers/create", &body) else {
                    return n;
                };
                let Some(id) = made
                    .json()
                    .ok()
                    .and_then(|m| m["Id"].as_str().map(str::to_owned))
                else {
                    return n;
                };
                if n % 2 == 0 && api.delete(&format!("/containers/{id}?v=1")).is_err() {
                    return n;
                }
            }
            0
        });
        let volumes = daemon.data_root().join("volumes");
        let enough = usize::try_from(4 + 3 * round)?;
        wait_until("some volumes", LIMIT, || {
            (fs::read_dir(&volumes).ok()?.count() >= enough).then_some(())
        })?;
        daemon.kill()?;
        worker.join().ok().context("the worker panicked")?;
        daemon.run()?;
        let mut held: Vec<String> = Vec::new();
        let list = daemon.get("/containers/json?all=1")?.ok()?.json()?;
        for container in list.as_array().context("a list")? {
            for point in container["Mounts"].as_array().context("Mounts")? {
                held.push(point["Name"].as_str().context("Name")?.to_owned());
            }
        }
        held.sort();
        let there = names(&daemon)?;
        let anonymous: Vec<&String> = there.iter().filter(|name| name.len() == 64).collect();
        for name in &anonymous {
            ensure!(held.contains(name), "round {round}: {name} is nobody's");
        }
        for name in &held {
            ensure!(there.contains(name), "round {round}: {name} is gone");
        }
        for entry in fs::read_dir(&volumes)? {
            let name = entry?.file_name().into_string().ok().context("a name")?;
            ensure!(there.contains(&name), "round {round}: {name} is no volume");
        }
        for name in held.iter().filter(|name| name.starts_with("named")) {
            ensure!(volumes.join(name).join("_data").is_dir());
        }
        daemon.clean()?;
        cli(&daemon, &["volume", "prune", "-af"])?;
        ensure!(names(&daemon)?.is_empty());
    }
    Ok(())
}
