//! Rotation, compression, attributes, following across it all.

use super::{daemon, logs, run, wait};
use anyhow::{Result, ensure};
use serde_json::json;

#[test]
fn rotated_and_compressed_files_are_read() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let script = "awk 'BEGIN { for (i = 1; i <= 20000; i++) printf \"line number %06d\\n\", i }'";
    for (driver, options) in [
        (
            "json-file",
            json!({"max-size": "200k", "max-file": "40", "compress": "true"}),
        ),
        ("local", json!({"max-size": "200k", "max-file": "40"})),
    ] {
        run(&daemon, driver, script, driver, &options)?;
        wait(&daemon, driver)?;
        let found = logs(&daemon, driver)?;
        let wanted: Vec<_> = (1..=20_000)
            .map(|n| format!("line number {n:06}"))
            .collect();
        ensure!(found == wanted, "{driver}: {} lines", found.len());
        let id = daemon.get(&format!("/containers/{driver}/json"))?.json()?["Id"].take();
        let folder = daemon
            .data_root()
            .join("containers")
            .join(id.as_str().unwrap_or_default());
        let names = std::fs::read_dir(folder)?.flatten().map(|e| e.file_name());
        let packed = names
            .filter(|name| name.to_string_lossy().ends_with(".gz"))
            .count();
        ensure!(packed > 2, "{driver}: {packed} compressed files");
        let tail = daemon.cli(&["logs", "--tail", "15000", driver])?;
        ensure!(tail.ok()?.lines().count() == 15_000);
    }
    daemon.clean()
}

#[test]
fn following_across_rotation_loses_nothing() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done";
    let options = json!({"max-size": "20k", "max-file": "50", "compress": "true"});
    run(&daemon, "follow", script, "json-file", &options)?;
    let said = daemon.cli(&["logs", "-f", "follow"])?;
    let wanted: Vec<_> = (1..=3000).map(|n| format!("line {n}")).collect();
    let found: Vec<_> = said.ok()?.lines().collect();
    ensure!(found == wanted, "{} lines", found.len());
    daemon.clean()
}

#[test]
fn details_are_tag_labels_and_variables() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let said = daemon.cli(&[
        "run",
        "--name",
        "details",
        "--label",
        "team=kiln",
        "--label",
        "tier=front",
        "-e",
        "APP=x",
        "-e",
        "APPS=y",
        "--log-opt",
        "labels=team",
        "--log-opt",
        "env-regex=^APP",
        "--log-opt",
        "tag={{.Name}}/{{.ImageName}}",
        "busybox",
        "echo",
        "hello",
    ])?;
    said.ok()?;
    let said = daemon.cli(&["logs", "--details", "details"])?;
    ensure!(
        said.ok()? == "APP=x,APPS=y,tag=details/busybox,team=kiln hello",
        "{said:?}"
    );
    let said = daemon.cli(&["run", "--log-opt", "tag={{.Nonsense", "busybox", "true"])?;
    ensure!(
        said.code == 125 && said.stderr.contains("failed to parse log tag"),
        "{said:?}"
    );
    daemon.clean()
}
