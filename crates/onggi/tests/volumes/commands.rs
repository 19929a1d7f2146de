//! `volume create`, `ls`, `inspect`, `rm`, `prune`.

use crate::{cli, daemon, is_dockerd, names, refuses};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

#[test]
fn volumes_are_made_listed_and_removed() -> Result<()> {
    let daemon = daemon()?;
    ensure!(cli(&daemon, &["volume", "create", "data"])? == "data");
    let labelled = ["volume", "create", "--label", "a=b", "--label", "c", "v10"];
    ensure!(cli(&daemon, &labelled)? == "v10");
    let anonymous = cli(&daemon, &["volume", "create"])?;
    ensure!(anonymous.len() == 64, "{anonymous}");
    cli(&daemon, &["volume", "create", "v2"])?;
    let table = cli(&daemon, &["volume", "ls", "-f", "name=^v"])?;
    ensure!(
        table == "DRIVER    VOLUME NAME\nlocal     v2\nlocal     v10",
        "{table}"
    );
    let row = cli(
        &daemon,
        &["volume", "ls", "--format", "json", "-f", "label=a=b"],
    )?;
    let row: Value = serde_json::from_str(&row)?;
    let path = daemon.data_root().join("volumes/v10/_data");
    let expected = json!({
        "Availability": "N/A", "Driver": "local", "Group": "N/A", "Labels": "a=b,c=", "Links": "N/A",
        "Mountpoint": path, "Name": "v10", "Scope": "local", "Size": "N/A", "Status": "N/A",
    });
    ensure!(row == expected, "{row}");
    let format = "{{.Name}} {{.Label \"a\"}}|{{.Driver}}";
    let rows = cli(
        &daemon,
        &["volume", "ls", "--format", format, "-f", "label=c"],
    )?;
    ensure!(rows == "v10 b|local", "{rows}");
    let raw = cli(
        &daemon,
        &["volume", "ls", "--format", "raw", "-f", "name=data"],
    )?;
    ensure!(raw == "name: data\ndriver: local", "{raw}");
    let inspect = cli(&daemon, &["volume", "inspect", "v10", "data"])?;
    let found: Value = serde_json::from_str(&inspect)?;
    ensure!(
        found[0]["Labels"] == json!({"a": "b", "c": ""})
            && found[0]["Mountpoint"] == json!(path)
            && found[1]["Labels"] == Value::Null
            && found[1]["Options"] == Value::Null
            && found[1]["Scope"] == "local",
        "{inspect}"
    );
    ensure!(cli(&daemon, &["inspect", "-f", "{{.Name}}", "data"])? == "data");
    ensure!(cli(&daemon, &["volume", "rm", "data", "v2"])? == "data\nv2");
    // As long as a name of a file may be.
    let longest = "n".repeat(255);
    ensure!(cli(&daemon, &["volume", "create", &longest])? == longest);
    ensure!(cli(&daemon, &["volume", "rm", &longest])? == longest);
    let output = daemon.cli(&["volume", "rm", "nosuch", "v10"])?;
    ensure!(
        output.code == 1
            && output.stdout == "v10\n"
            && output.stderr.contains("get nosuch: no such volume"),
        "{output:?}"
    );
    ensure!(cli(&daemon, &["volume", "rm", "-f", "nosuch"])? == "nosuch");
    ensure!(names(&daemon)? == [anonymous]);
    ensure!(!path.exists());
    daemon.clean()
}

#[test]
fn what_cannot_be_is_refused_in_dockers_words() -> Result<()> {
    let daemon = daemon()?;
    for (arguments, text) in [
        (
            &["volume", "create", "x"][..],
            "create x: volume name is too short, names should be at least two alphanumeric characters",
        ),
        (
            &["volume", "create", "a@b"],
            "create a@b: \"a@b\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path",
        ),
        (
            &["volume", "create", "-d", "nope", "zz"],
            "create zz: error looking up volume plugin nope: plugin \"nope\" not found",
        ),
        (
            &["volume", "create", "-o", "foo=bar", "zz"],
            "create zz: invalid option: \"foo\"",
        ),
        (
            &["volume", "create", "-o", "type=x", "zz"],
            "create zz: missing required option: \"device\"",
        ),
        (
            &["volume", "create", "-o", "size=1g", "zz"],
            "create zz: quota size requested but no quota support",
        ),
        (
            &["volume", "ls", "-f", "dangling=x"],
            "nvalid filter 'dangling=[x]'",
        ),
        (&["volume", "ls", "-f", "bogus=1"], "nvalid filter 'bogus'"),
        (
            &["volume", "prune", "-f", "--filter", "x=y"],
            "nvalid filter 'x'",
        ),
        (
            &["volume", "create", "a1", "b1"],
            "requires at most 1 argument",
        ),
        (
            &["volume", "inspect", "nosuch"],
            "get nosuch: no such volume",
        ),
    ] {
        refuses(&daemon, arguments, text)?;
    }
    ensure!(names(&daemon)?.is_empty());
    daemon.clean()
}

#[test]
fn prune_takes_what_nobody_uses() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "before 1.42 prune took volumes with names") {
        return Ok(());
    }
    cli(&daemon, &["volume", "create", "named"])?;
    cli(
        &daemon,
        &["volume", "create", "--label", "keep", "labelled"],
    )?;
    cli(&daemon, &["volume", "create", "used"])?;
    let device = ["-o", "type=tmpfs", "-o", "device=tmpfs", "optioned"];
    cli(&daemon, &[&["volume", "create"], &device[..]].concat())?;
    let anonymous = cli(&daemon, &["volume", "create"])?;
    let holder = ["create", "--name", "holder", "-v", "used:/u", "busybox"];
    cli(&daemon, &holder)?;
    let file = daemon
        .data_root()
        .join(format!("volumes/{anonymous}/_data/file"));
    std::fs::write(file, vec![7; 1000])?;
    let asked = daemon.cli_with_input(&["volume", "prune"], b"n\n")?;
    ensure!(
        asked.code == 0
            && asked.stdout.starts_with("WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] ")
            && !asked.stdout.contains("Deleted"),
        "{asked:?}"
    );
    let pruned = cli(&daemon, &["volume", "prune", "-f"])?;
    ensure!(
        pruned == format!("Deleted Volumes:\n{anonymous}\n\nTotal reclaimed space: 1kB"),
        "{pruned}"
    );
    let pruned = cli(
        &daemon,
        &["volume", "prune", "-af", "--filter", "label!=keep"],
    )?;
    ensure!(pruned.contains("Deleted Volumes:\nnamed\n"), "{pruned}");
    let nothing = cli(&daemon, &["volume", "prune", "-f"])?;
    ensure!(nothing == "Total reclaimed space: 0B", "{nothing}");
    ensure!(names(&daemon)? == ["labelled", "optioned", "used"]);
    // The API before 1.42 means all.
    let report = daemon
        .post("/v1.41/volumes/prune", &Value::Null)?
        .ok()?
        .json()?;
    ensure!(report["VolumesDeleted"] == json!(["labelled"]), "{report}");
    let report = daemon.post("/volumes/prune", &Value::Null)?.ok()?.json()?;
    ensure!(
        report == json!({"VolumesDeleted": null, "SpaceReclaimed": 0}),
        "{report}"
    );
    let dangling = cli(&daemon, &["volume", "ls", "-qf", "dangling=true"])?;
    ensure!(dangling == "optioned", "{dangling}");
    let info = daemon.get("/info")?.ok()?.json()?;
    let drivers = info["Plugins"]["Volume"].as_array().context("drivers")?;
    ensure!(*drivers == [json!("local")]);
    daemon.clean()
}
