//! `images` with its filters, and as a tree.

use crate::{DOCKER, commit, everywhere};
use anyhow::{Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Image, Subject};
use serde_json::json;
use std::path::{Path, PathBuf};

fn names(daemon: &Daemon, flags: &[&str]) -> Result<Vec<String>> {
    let arguments = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
    let output = daemon.cli(&[&arguments, flags].concat())?;
    let mut lines: Vec<String> = output.ok()?.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn filters_choose() -> Result<()> {
    everywhere(|daemon| {
        let labelled = Image::busybox()?.config(json!({"Labels": {"tier": "front", "k": "v"}}));
        daemon.load(&labelled, &["labelled:1", "other/labelled:2"])?;
        commit(daemon, "busybox", "newer")?;
        let dangling = commit(daemon, "busybox", "gone")?;
        daemon.cli(&["tag", "newer", "gone"])?.ok()?;
        let old = ["busybox:latest", "labelled:1", "other/labelled:2"];
        for (filter, expected) in [
            ("label=tier", &old[1..]),
            ("label=tier=front", &old[1..]),
            ("label=tier=back", &[]),
            ("before=newer", &old),
            (
                "since=busybox",
                &["<none>:<none>", "gone:latest", "newer:latest"],
            ),
            ("reference=labelled", &old[1..2]),
            ("reference=*/labelled:*", &old[2..]),
            ("reference=l*:1", &old[1..2]),
            ("dangling=true", &["<none>:<none>"]),
            (
                "dangling=false",
                &[
                    "busybox:latest",
                    "gone:latest",
                    "labelled:1",
                    "newer:latest",
                    "other/labelled:2",
                ],
            ),
        ] {
            let found = names(daemon, &["-f", filter])?;
            ensure!(found == expected, "{filter}: {found:?}");
        }
        let output = daemon.cli(&["images", "-q", "--no-trunc", "-f", "dangling=true"])?;
        ensure!(output.ok()? == dangling, "{output:?}");
        for (filter, why) in [
            ("nope=1", "nvalid filter"),
            ("dangling=perhaps", "nvalid filter 'dangling=[perhaps]'"),
            ("before=nobody", "No such image: nobody"),
        ] {
            let output = daemon.cli(&["images", "-f", filter])?;
            ensure!(
                output.code == 1 && output.stderr.contains(why),
                "{filter}: {output:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn until_is_a_time() -> Result<()> {
    // Docker has this filter since 24.
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    commit(&daemon, "busybox", "newer")?;
    ensure!(names(&daemon, &["-f", "until=24h"])? == ["busybox:latest"]);
    ensure!(names(&daemon, &["-f", "until=1971-01-01"])? == ["busybox:latest"]);
    ensure!(names(&daemon, &["-f", "until=1969-01-01"])?.is_empty());
    let output = daemon.cli(&["images", "-f", "until=yesterday"])?;
    ensure!(output.code == 1, "{output:?}");
    daemon.clean()
}

/// Text without the colours of a terminal.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

/// Both command lines draw the same tree of the same daemon.
#[test]
fn the_tree_is_dockers() -> Result<()> {
    let daemon = Daemon::start_with(DaemonOptions {
        subject: Some(Subject::Onggi),
        client: Some(Client::Onggi),
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    daemon
        .cli(&[
            "tag",
            "busybox",
            "localhost:5000/a/name/that/is/too/long/for/its/column:1.2.3",
        ])?
        .ok()?;
    daemon.load(&Image::busybox()?.architecture("arm64"), &["arm:1"])?;
    commit(&daemon, "busybox", "used")?;
    commit(&daemon, "used", "dangling")?;
    daemon.cli(&["tag", "busybox", "dangling"])?.ok()?;
    daemon
        .cli(&["create", "--name", "user", "used", "true"])?
        .ok()?;
    let ours = daemon.cli(&["images", "--tree", "-a"])?;
    let text = ours.ok()?;
    for part in ["└─ linux/amd64", "└─ linux/arm64", "<untagged>", "   U    "] {
        ensure!(text.contains(part), "{text}");
    }
    ensure!(!text.contains('\x1b'), "{text:?}");
    if !Path::new(DOCKER).exists() {
        return daemon.clean();
    }
    let docker = |flags: &[&str]| -> Result<std::process::Output> {
        let mut command = daemon.cli_command(flags)?;
        let envs: Vec<_> = command
            .get_envs()
            .map(|(k, v)| (k.to_owned(), v.map(|v| v.to_owned())))
            .collect();
        command = std::process::Command::new(PathBuf::from(DOCKER));
        command.args(flags);
        for (key, value) in envs {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        Ok(command.output()?)
    };
    for flags in [
        &["images", "--tree"][..],
        &["images", "--tree", "arm"],
        &["images", "--tree", "nothing"],
        &["images", "--tree", "-a"],
        &["images", "--tree", "-f", "dangling=true"],
        &["images", "--tree", "-a", "-f", "dangling=true"],
    ] {
        let theirs = docker(flags)?;
        let theirs = plain(&String::from_utf8_lossy(&theirs.stdout));
        let ours = daemon.cli(flags)?;
        ensure!(
            ours.stdout == theirs,
            "{flags:?}:\n{}\n{theirs}",
            ours.stdout
        );
    }
    for other in ["-q", "--no-trunc", "--digests", "--format=x"] {
        let flags = ["images", "--tree", other];
        let theirs = docker(&flags)?;
        let ours = daemon.cli(&flags)?;
        ensure!(
            ours.stderr == String::from_utf8_lossy(&theirs.stderr),
            "{ours:?} {theirs:?}"
        );
        ensure!(
            Some(ours.code) == theirs.status.code(),
            "{ours:?} {theirs:?}"
        );
    }
    daemon.clean()
}
