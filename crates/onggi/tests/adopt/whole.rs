//! Images, volumes and containers come as they were, and nothing changes where they come from.

use crate::tree::{Tree, differences, of_tar, tree};
use crate::{adopt, docker, layered, onggi, result, root_of, run};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Layer, Registry};
use rustix::fs::{Mode, OFlags, XattrFlags};
use std::fs;
use std::process::Command;

/// A layer whose file has a capability, an attribute of a user's, and a device beside it.
fn attributes(daemon: &Daemon) -> Result<Layer> {
    let folder = daemon.path("attributes");
    fs::create_dir(&folder)?;
    let tool = folder.join("tool");
    fs::write(&tool, "#!/bin/sh\n")?;
    let file = rustix::fs::open(&tool, OFlags::RDONLY, Mode::empty())?;
    // VFS_CAP_REVISION_2, effective: CAP_NET_RAW.
    let mut capability = vec![1, 0, 0, 2];
    capability.extend([0, 0x20, 0, 0]);
    capability.extend([0; 12]);
    let all = XattrFlags::empty();
    rustix::fs::fsetxattr(&file, "security.capability", &capability, all)?;
    rustix::fs::fsetxattr(&file, "user.colour", b"blue", all)?;
    let output = Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "-cf", "-", "-C"])
        .arg(&folder)
        .arg("tool")
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(Layer::from_tar(output.stdout))
}

/// What `export` writes of a container, without what each engine puts there itself.
fn exported(daemon: &Daemon, container: &str, round: &str) -> Result<Tree> {
    let tar = daemon.path(&format!("{round}-{container}.tar"));
    let file = tar.to_str().context("a path")?;
    daemon.cli(&["export", "-o", file, container])?.ok()?;
    let mut tree = of_tar(&tar, &daemon.path(&format!("{round}-{container}")))?;
    let own = ["", ".dockerenv", "etc", "proc", "sys", "dev"];
    let own_files = ["etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"];
    tree.retain(|name, _| {
        !own.contains(&name.as_str())
            && !own_files.contains(&name.as_str())
            && !name.starts_with("dev/")
    });
    // Of extended attributes Docker exports capabilities alone.
    for text in tree.values_mut() {
        *text = text.replace("user.colour=[62, 6c, 75, 65] ", "");
    }
    Ok(tree)
}

const WRITES: &str = "rm /etc/group; rm -r /home && mkdir /home && echo new > /home/n; \
    echo a > /a; ln /a /b; ln -s a /c; mkdir -m 700 /x; chown 1:2 /x; mkfifo /x/pipe; \
    echo kept > /data/file; mkdir /data/sub; ln /data/file /data/sub/link; echo said; exit 3";

#[test]
fn everything_comes_as_it_was() -> Result<()> {
    let Some(mut docker) = docker(&[])? else {
        return Ok(());
    };
    let image = layered()?.layer(attributes(&docker)?);
    docker.load(&image, &["layered:1", "other/name:2"])?;
    let label = ["volume", "create", "--label", "team=blue", "data"];
    docker.cli(&label)?.ok()?;
    let web = ["--name", "web", "-v", "data:/data", "-v", "/anonymous"];
    let flags = ["-e", "COLOUR=red", "-l", "tier=front", "--hostname", "pot"];
    let command = ["busybox", "sh", "-c", WRITES];
    let code = run(&docker, &[&web[..], &flags, &command].concat())?;
    ensure!(code == 3, "{code}");
    docker
        .cli(&["create", "--name", "fresh", "layered:1", "ls"])?
        .ok()?;
    docker.cli(&["commit", "web", "made:1"])?.ok()?;
    let names = ["web", "fresh"];
    let theirs: Vec<Tree> = (names.iter())
        .map(|name| exported(&docker, name, "docker"))
        .collect::<Result<_>>()?;
    let ids = docker.cli(&[
        "images",
        "--no-trunc",
        "--format",
        "{{.Repository}}:{{.Tag}} {{.ID}}",
    ])?;
    let mut ids: Vec<String> = ids.ok()?.lines().map(str::to_owned).collect();
    let history = docker.cli(&[
        "history",
        "--format",
        "{{.CreatedBy}} {{.Comment}}",
        "made:1",
    ])?;
    let inspect = docker.get("/containers/web/json")?.ok()?.json()?;
    docker.stop()?;
    let before = tree(&docker.data_root())?;

    let ours = onggi()?;
    let output = adopt(&ours, &docker)?;
    output.ok()?;
    let changed = differences(&before, &tree(&docker.data_root())?);
    ensure!(changed.is_empty(), "{changed:#?}");
    for (kind, name) in [
        ("image", "busybox:latest"),
        ("image", "made:1"),
        ("volume", "data"),
        ("container", "web"),
        ("container", "fresh"),
    ] {
        let said = result(&output, kind, name)?;
        ensure!(said.starts_with("taken"), "{kind} {name}: {said}");
    }
    let found = ours.cli(&[
        "images",
        "--no-trunc",
        "--format",
        "{{.Repository}}:{{.Tag}} {{.ID}}",
    ])?;
    let mut found: Vec<String> = found.ok()?.lines().map(str::to_owned).collect();
    ids.sort();
    found.sort();
    ensure!(found == ids, "{found:?} {ids:?}");
    let same = ours.cli(&[
        "history",
        "--format",
        "{{.CreatedBy}} {{.Comment}}",
        "made:1",
    ])?;
    ensure!(same.ok()? == history.ok()?, "{same:?} {history:?}");

    for (name, theirs) in names.iter().zip(&theirs) {
        let found = exported(&ours, name, "onggi")?;
        let different = differences(theirs, &found);
        ensure!(different.is_empty(), "{name}: {different:#?}");
    }
    let mine = ours.get("/containers/web/json")?.ok()?.json()?;
    for field in [
        "/Id",
        "/Name",
        "/Image",
        "/Path",
        "/Args",
        "/Config/Env",
        "/Config/Labels",
        "/Config/Hostname",
    ] {
        ensure!(
            mine.pointer(field) == inspect.pointer(field),
            "{field}: {mine:#}"
        );
    }
    ensure!(
        mine.pointer("/State/ExitCode") == Some(&3.into()),
        "{mine:#}"
    );
    ensure!(
        mine.pointer("/State/Status") == Some(&"exited".into()),
        "{mine:#}"
    );
    let logs = ours.cli(&["logs", "web"])?;
    ensure!(logs.ok()? == "said", "{logs:?}");

    let data = ours.get("/volumes/data")?.ok()?.json()?;
    ensure!(data["Labels"]["team"] == "blue", "{data}");
    let volumes =
        [&docker, &ours].map(|daemon| tree(&daemon.data_root().join("volumes/data/_data")));
    let [theirs, found] = volumes;
    let different = differences(&theirs?, &found?);
    ensure!(different.is_empty(), "{different:#?}");

    // What it wrote is still there when it runs again, and what is mounted is what was mounted.
    let again =
        "cat /home/n /data/sub/link; ls /etc/group; ls /anonymous && hostname && echo $COLOUR";
    ours.cli(&["commit", "web", "again:1"])?.ok()?;
    let output = ours.cli(&[
        "run",
        "--rm",
        "--volumes-from",
        "web",
        "again:1",
        "sh",
        "-c",
        again,
    ])?;
    ensure!(output.stdout.starts_with("new\nkept\n"), "{output:?}");
    ensure!(
        output.stderr.contains("/etc/group: No such file"),
        "{output:?}"
    );
    let output = ours.cli(&["start", "-a", "web"])?;
    ensure!(output.stdout.contains("said"), "{output:?}");
    let output = ours.cli(&["start", "-a", "fresh"])?;
    ensure!(output.ok()?.contains("cache"), "{output:?}");
    let output = ours.cli(&[
        "run",
        "--rm",
        "layered:1",
        "sh",
        "-c",
        "ls /data /cache; cat /data/link",
    ])?;
    ensure!(
        output.ok()? == "/cache:\nagain\nnew\n\n/data:\ndeep\nlink\ntwo\nnew",
        "{output:?}"
    );

    // Whole also for others: an archive, and a registry.
    let saved = ours.path("saved.tar");
    let file = saved.to_str().context("a path")?;
    ours.cli(&["save", "-o", file, "made:1", "layered:1"])?
        .ok()?;
    let second = onggi()?;
    let loaded = second.cli(&["load", "-i", file])?;
    ensure!(loaded.ok()?.contains("made:1"), "{loaded:?}");
    if std::path::Path::new("/usr/bin/docker-registry").exists() {
        let registry = Registry::start(ours.namespace(), 5000)?;
        let name = format!("{}/layered:1", registry.address());
        ours.cli(&["tag", "layered:1", &name])?.ok()?;
        ours.cli(&["push", &name])?.ok()?;
    }

    let output = adopt(&ours, &docker)?;
    ensure!(output.ok()?.contains("\n0 taken, "), "{output:?}");
    let output = ours.cli(&["system", "check"])?;
    ensure!(output.ok()?.contains("no defects"), "{output:?}");
    for daemon in [&ours, &second] {
        daemon.clean()?;
    }
    Ok(())
}

/// A name that means another image here stays with it.
#[test]
fn names_that_are_taken_stay() -> Result<()> {
    let Some(mut docker) = docker(&[])? else {
        return Ok(());
    };
    docker.cli(&["tag", "busybox", "mine:1"])?.ok()?;
    docker
        .cli(&["create", "--name", "box1", "busybox", "true"])?
        .ok()?;
    docker.stop()?;
    let ours = onggi()?;
    ours.load(&layered()?, &["mine:1"])?;
    let own = ours.get("/images/mine:1/json")?.ok()?.json()?;
    ours.cli(&["create", "--name", "box1", "mine:1", "true"])?
        .ok()?;
    let output = adopt(&ours, &docker)?;
    ensure!(output.code == 1, "{output:?}");
    let said = result(&output, "image", "busybox:latest")?;
    ensure!(
        said == "taken: another image here is called mine:1",
        "{said}"
    );
    let said = result(&output, "container", "box1")?;
    ensure!(
        said.contains("The container name \"/box1\" is already in use"),
        "{said}"
    );
    let now = ours.get("/images/mine:1/json")?.ok()?.json()?;
    ensure!(now["Id"] == own["Id"]);
    ensure!(root_of(&docker)?.starts_with('/'));
    ours.clean()
}
