//! S5: lists, with filters, templates, short and long.

use crate::as_typed;
use crate::scene::Scene;
use anyhow::{Result, ensure};

as_typed!(
    containers_are_listed,
    images_volumes_and_networks_are_listed
);

fn containers_are_listed(scene: &Scene) -> Result<()> {
    let up = scene.ok(
        "run -d --name up -p 127.0.0.1:8080:80 --label tier=web --label x busybox sleep 1000",
    )?;
    scene.ok("create --name made busybox sh -c 'a rather long command line'")?;
    scene.fails("run --name down busybox sh -c 'exit 7'", 7, "")?;
    scene.says("ps -q", &up[..12])?;
    scene.says("ps -q --no-trunc", &up)?;
    scene.says("ps --format {{.Names}}", "up")?;
    scene.says("ps -a --format {{.Names}}", "down\nmade\nup")?;
    scene.says("ps -n 2 --format {{.Names}}", "down\nmade")?;
    scene.says("ps -l --format {{.Names}}", "down")?;
    let table = scene.ok("ps -a")?;
    let head = table.lines().next().unwrap_or_default();
    ensure!(
        head.split_whitespace().collect::<Vec<_>>()
            == [
                "CONTAINER",
                "ID",
                "IMAGE",
                "COMMAND",
                "CREATED",
                "STATUS",
                "PORTS",
                "NAMES"
            ],
        "{table}"
    );
    ensure!(
        table.contains("Exited (7)") && table.contains("\"sh -c 'a rather lon…\""),
        "{table}"
    );
    for (filter, names) in [
        ("name=ow", "down"),
        ("status=running", "up"),
        ("status=created", "made"),
        ("exited=7", "down"),
        ("label=tier=web", "up"),
        ("label=x", "up"),
        ("ancestor=busybox", "down\nmade\nup"),
        ("since=up", "down\nmade"),
        ("before=down", "made\nup"),
        ("publish=8080", "up"),
        ("expose=80", "up"),
        ("network=bridge", "down\nmade\nup"),
        ("health=none", "down\nmade\nup"),
    ] {
        scene.says(
            &format!("ps -a --filter {filter} --format {{{{.Names}}}}"),
            names,
        )?;
    }
    scene.says("ps -a --filter label=x --filter status=exited -q", "")?;
    scene.fails("ps --filter nope=x", 1, "invalid filter 'nope'")?;
    scene.says(
        "ps --format '{{upper .Names}} {{.Label \"tier\"}} {{json .Image}} {{truncate .ID 3}}'",
        &format!("UP web \"busybox\" {}", &up[..3]),
    )?;
    let labelled = scene.ok("ps --format 'table {{.Names}}\t{{.Label \"tier\"}}'")?;
    ensure!(
        labelled
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>())
            .collect::<Vec<_>>()
            == [vec!["NAMES", "tier"], vec!["up", "web"]],
        "{labelled}"
    );
    let json: serde_json::Value = serde_json::from_str(&scene.ok("ps --format json")?)?;
    ensure!(
        json["Names"] == "up" && json["State"] == "running",
        "{json}"
    );
    scene.fails(
        "ps --format {{.Nope}}",
        1,
        "can't evaluate field Nope in type",
    )?;
    ensure!(
        scene
            .ok("ps -as --filter name=down --format {{.Size}}")?
            .starts_with("0B (virtual ")
    );
    Ok(())
}

fn images_volumes_and_networks_are_listed(scene: &Scene) -> Result<()> {
    scene.ok("tag busybox mine:v1")?;
    scene.ok("tag busybox mine:v2")?;
    let format = "--format '{{.Repository}}:{{.Tag}}'";
    scene.lists(
        &format!("images --filter reference=mine {format}"),
        &["mine:v1", "mine:v2"],
    )?;
    scene.says("images mine:v2 --format {{.Tag}}", "v2")?;
    let short = scene.ok("images -q busybox")?;
    let long = scene.ok("images -q --no-trunc busybox")?;
    ensure!(
        short.len() == 12 && long == scene.ok("image inspect -f {{.Id}} busybox")?,
        "{short} {long}"
    );
    ensure!(long.trim_start_matches("sha256:").starts_with(&short));
    let table = scene.ok("images")?;
    ensure!(
        table.starts_with("REPOSITORY   TAG       IMAGE ID"),
        "{table}"
    );
    scene.says("images --filter dangling=true -q", "")?;
    scene.ok("volume create --label k=v one")?;
    scene.ok("volume create two")?;
    scene.ok("create --name user -v two:/data busybox")?;
    scene.says("volume ls -q", "one\ntwo")?;
    scene.says(
        "volume ls",
        "DRIVER    VOLUME NAME\nlocal     one\nlocal     two",
    )?;
    scene.says("volume ls -q --filter dangling=true", "one")?;
    scene.says("volume ls -q --filter label=k=v", "one")?;
    scene.says("volume ls -q --filter name=tw", "two")?;
    scene.says(
        "volume ls --format '{{.Name}} {{.Label \"k\"}}.'",
        "one v.\ntwo .",
    )?;
    scene.fails("volume ls --filter x=y", 1, "nvalid filter 'x'")?;
    let table = scene.ok("network ls")?;
    let line = table.lines().next().unwrap_or_default();
    ensure!(
        line == "NETWORK ID     NAME      DRIVER    SCOPE",
        "{table}"
    );
    scene.says(
        "network ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Labels}}.'",
        "bridge bridge local false false .\nhost host local false false .\nnone null local false false .",
    )?;
    scene.says(
        "network ls --filter driver=null --format '{{.Name}}'",
        "none",
    )?;
    scene.fails("network ls --filter x=y", 1, "nvalid filter 'x'")?;
    let short = scene.ok("network ls -q --filter name=bridge")?;
    let long = scene.ok("network ls -q --no-trunc --filter name=bridge")?;
    ensure!(short.len() == 12 && long.len() == 64 && long.starts_with(&short));
    scene.says(
        "network inspect -f '{{.Name}} {{.Id}}' bridge",
        &format!("bridge {long}"),
    )?;
    scene.says(
        "network inspect --verbose --format {{.Driver}} none",
        "null",
    )?;
    scene.fails("network inspect nothing", 1, "network nothing not found")?;
    scene.says("network prune --force --filter until=1h", "")
}
