//! `kill -9` in the middle leaves nothing half, and the next time takes the rest.

use crate::tree::{differences, tree};
use crate::{adopt, docker, layered, onggi, root_of, run};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{LIMIT, wait_until};

/// Lines after which the daemon is killed: the heading, two images, the volume, the container.
const MOMENTS: [usize; 5] = [1, 2, 3, 4, 5];

#[test]
fn a_killed_adoption_goes_on() -> Result<()> {
    let Some(mut docker) = docker(&[])? else {
        return Ok(());
    };
    docker.load(&layered()?, &["layered:1"])?;
    let script = "for n in $(seq 200); do echo $n > /data/$n; echo $n > /w$n; done";
    let code = run(
        &docker,
        &[
            "--name",
            "web",
            "-v",
            "data:/data",
            "busybox",
            "sh",
            "-c",
            script,
        ],
    )?;
    ensure!(code == 0, "{code}");
    docker.stop()?;
    for moment in MOMENTS {
        let mut ours = onggi()?;
        let first = ours.cli_process(&["system", "adopt", &root_of(&docker)?])?;
        wait_until("so many lines", LIMIT, || {
            (first.stdout().lines().count() >= moment).then_some(())
        })?;
        ours.kill()?;
        first.wait()?;
        ours.run()?;
        let output = adopt(&ours, &docker)?;
        ensure!(
            output.ok()?.ends_with(", 0 skipped"),
            "{moment}: {output:?}"
        );
        let volumes = [&docker, &ours].map(|d| tree(&d.data_root().join("volumes/data/_data")));
        let [theirs, found] = volumes;
        let different = differences(&theirs?, &found?);
        ensure!(different.is_empty(), "{moment}: {different:#?}");
        let written = ours.cli(&["diff", "web"])?;
        let count = written
            .ok()?
            .lines()
            .filter(|line| line.starts_with("A /w"))
            .count();
        ensure!(count == 200, "{moment}: {written:?}");
        let output = adopt(&ours, &docker)?;
        let said = output.ok()?;
        ensure!(said.contains("\n0 taken, "), "{moment}: {said}");
        let output = ours.cli(&["system", "check"])?;
        ensure!(output.code == 0, "{moment}: {output:?}");
        ours.clean().with_context(|| format!("{moment}"))?;
    }
    Ok(())
}
