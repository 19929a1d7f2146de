//! An image from which others were made stays, without a name, as long as one of them is here.

use crate::{commit, everywhere};
use anyhow::{Result, ensure};
use onggi_testkit::Daemon;

fn short(id: &str) -> &str {
    let hex = id.trim_start_matches("sha256:");
    &hex[..12]
}

fn listed(daemon: &Daemon, flags: &[&str]) -> Result<Vec<String>> {
    let arguments = [
        "images",
        "--no-trunc",
        "--format",
        "{{.Repository}} {{.ID}}",
    ];
    let output = daemon.cli(&[&arguments, flags].concat())?;
    let mut lines: Vec<String> = output.ok()?.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn parents_stay_without_a_name_until_the_last_child_goes() -> Result<()> {
    everywhere(|daemon| {
        let first = commit(daemon, "busybox", "first")?;
        let second = commit(daemon, "first", "second")?;
        let third = commit(daemon, "second", "third")?;

        let output = daemon.cli(&["rmi", "first"])?;
        ensure!(output.ok()? == "Untagged: first:latest", "{output:?}");
        let output = daemon.cli(&["rmi", "second"])?;
        ensure!(output.ok()? == "Untagged: second:latest", "{output:?}");
        let heads = listed(daemon, &[])?;
        ensure!(
            heads.len() == 2 && heads[1] == format!("third {third}"),
            "{heads:?}"
        );
        let all = listed(daemon, &["-a"])?;
        for id in [&first, &second] {
            ensure!(all.contains(&format!("<none> {id}")), "{all:?}");
        }
        for id in [&first, &second] {
            for force in [&["rmi"][..], &["rmi", "-f"]] {
                let output = daemon.cli(&[force, &[id.as_str()]].concat())?;
                let text = format!(
                    "conflict: unable to delete {} (cannot be forced) - image has dependent child images",
                    short(id)
                );
                ensure!(
                    output.code == 1 && output.stderr.contains(&text),
                    "{output:?}"
                );
            }
        }
        // Nothing of them is in the way of what is pruned.
        let output = daemon.cli(&["image", "prune", "-f"])?;
        ensure!(
            output.ok()?.contains("Total reclaimed space: 0B"),
            "{output:?}"
        );
        let history = daemon.cli(&["history", "-q", "--no-trunc", "third"])?;
        let steps: Vec<&str> = history.ok()?.lines().collect();
        ensure!(steps[..3] == [&third, &second, &first], "{steps:?}");

        // With the last child they all go; what has a name stays.
        let output = daemon.cli(&["rmi", "third"])?;
        let said = output.ok()?;
        for id in [&third, &second, &first] {
            ensure!(said.contains(&format!("Deleted: {id}")), "{said}");
        }
        ensure!(listed(daemon, &["-a"])?.len() == 1);
        daemon
            .cli(&["run", "--rm", "--network", "none", "busybox", "true"])?
            .ok()?;
        Ok(())
    })
}

#[test]
fn parents_are_kept_where_that_is_asked_for() -> Result<()> {
    everywhere(|daemon| {
        let first = commit(daemon, "busybox", "first")?;
        let second = commit(daemon, "first", "second")?;
        daemon.cli(&["rmi", "first"])?.ok()?;
        let output = daemon.cli(&["rmi", "--no-prune", "second"])?;
        ensure!(
            output.ok()?.contains(&format!("Deleted: {second}")),
            "{output:?}"
        );
        ensure!(
            !output.stdout.contains(&format!("Deleted: {first}")),
            "{output:?}"
        );
        // Now it hangs in the air, and is shown.
        let heads = listed(daemon, &[])?;
        ensure!(heads.contains(&format!("<none> {first}")), "{heads:?}");
        // A parent that a container needs stays as well.
        let third = commit(daemon, &first, "third")?;
        daemon
            .cli(&["create", "--name", "user", &first, "true"])?
            .ok()?;
        let output = daemon.cli(&["rmi", "third"])?;
        ensure!(
            output.ok()?.contains(&format!("Deleted: {third}")),
            "{output:?}"
        );
        ensure!(
            !output.stdout.contains(&format!("Deleted: {first}")),
            "{output:?}"
        );
        daemon.cli(&["rm", "user"])?.ok()?;
        daemon.cli(&["rmi", &first])?.ok()?;
        Ok(())
    })
}
