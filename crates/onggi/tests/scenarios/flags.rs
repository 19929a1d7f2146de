//! Flags of the commands beside `run`, `create` and `exec` whose effect no other scene shows. `docs/FLAGS.md` has all.

use crate::as_typed;
use crate::scene::Scene;
use anyhow::{Result, ensure};
use onggi_testkit::{LIMIT, wait_until};
use std::time::{SystemTime, UNIX_EPOCH};

as_typed!(
    flags_of_attach_and_start,
    flags_of_stop_restart_and_kill,
    flags_of_update,
    flags_of_stats_and_events,
    flags_of_prunes_and_usage,
    flags_of_inspect_and_contexts,
);

fn flags_of_attach_and_start(scene: &Scene) -> Result<()> {
    scene.ok("run -d -i --name box busybox cat")?;
    // What is typed into one that passes nothing on is not heard; what the other says both are shown, once they are
    // attached.
    let mut mute = scene.process("attach --no-stdin box")?;
    mute.write("mumble\n")?;
    let mut speaker = scene.process("attach box")?;
    wait_until("both to be attached", LIMIT, || {
        speaker.write("spoken\n").ok()?;
        let both = [mute.stdout(), speaker.stdout()];
        both.iter()
            .all(|said| said.contains("spoken\n"))
            .then_some(())
    })?;
    let logs = scene.ok("logs box")?;
    ensure!(logs.lines().all(|line| line == "spoken"), "{logs}");
    drop((mute, speaker));
    scene.ok("create -i --name again busybox cat")?;
    let typed = scene.typed_with("start -ai again", b"typed\n")?;
    ensure!(typed.ok()? == "typed", "{typed:?}");
    scene.ok("create --name once busybox echo shown")?;
    scene.says("start --attach once", "shown")?;
    scene.fails("start --checkpoint one again", 1, "experimental features")?;
    scene.fails(
        "start --checkpoint-dir /x again",
        1,
        "experimental features",
    )?;
    scene.ok("create -it --name shell busybox sh")?;
    let Some(terminal) = scene.terminal("start -ai --detach-keys ctrl-y,y shell")? else {
        return Ok(());
    };
    terminal.expect("#")?;
    terminal.press(&["C-y", "y"])?;
    ensure!(terminal.wait()? == 0, "{}", terminal.screen()?);
    let Some(terminal) = scene.terminal("attach --detach-keys ctrl-z shell")? else {
        return Ok(());
    };
    terminal.enter("echo here $((6 * 7))")?;
    terminal.expect("here 42")?;
    terminal.press(&["C-z"])?;
    ensure!(terminal.wait()? == 1, "{}", terminal.screen()?);
    scene.says("inspect -f {{.State.Running}} shell", "true")
}

fn flags_of_stop_restart_and_kill(scene: &Scene) -> Result<()> {
    let script = "trap \"exit 5\" USR1; trap \"\" TERM; echo up; while :; do sleep 0.1; done";
    scene.ok(&format!("run -d --name box busybox sh -c '{script}'"))?;
    scene.until("logs box", |said| said == "up")?;
    scene.says("stop --signal USR1 box", "box")?;
    scene.says("inspect -f {{.State.ExitCode}} box", "5")?;
    scene.says("start box", "box")?;
    scene.until("logs box", |said| said == "up\nup")?;
    // It does not hear SIGTERM; the patience is what the flag says and not ten seconds.
    scene.says("stop --timeout 1 box", "box")?;
    scene.says("inspect -f {{.State.ExitCode}} box", "137")?;
    scene.says("start box", "box")?;
    scene.until("logs box", |said| said == "up\nup\nup")?;
    scene.says("restart --signal USR1 --timeout 30 box", "box")?;
    scene.until("logs box", |said| said == "up\nup\nup\nup")?;
    scene.says("kill --signal USR1 box", "box")?;
    scene.says("wait box", "5")?;
    scene.fails("rm --link box/alias", 1, "")?;
    scene.says("rm --volumes box", "box")
}

fn flags_of_update(scene: &Scene) -> Result<()> {
    scene.ok("run -d --name box busybox sleep 1000")?;
    for (flags, field, value) in [
        ("--blkio-weight 300", "BlkioWeight", "300"),
        ("--cpu-period 50000 --cpu-quota 25000", "CpuPeriod", "50000"),
        ("--cpu-quota 30000", "CpuQuota", "30000"),
        ("--cpu-shares 512", "CpuShares", "512"),
        ("--cpuset-cpus 0", "CpusetCpus", "0"),
        ("--cpuset-mems 0", "CpusetMems", "0"),
        ("--memory 64m --memory-swap 128m", "Memory", "67108864"),
        ("--memory-swap 256m", "MemorySwap", "268435456"),
        ("--memory-reservation 32m", "MemoryReservation", "33554432"),
        ("--pids-limit 77", "PidsLimit", "77"),
        ("--restart on-failure:3", "RestartPolicy.Name", "on-failure"),
    ] {
        let output = scene.typed(&format!("update {flags} box"))?;
        let unknown = output.stderr.contains("blkio") || output.stdout.contains("blkio");
        if field == "BlkioWeight" && (unknown || output.code != 0) {
            eprintln!("left out: this kernel has no {field}: {output:?}");
            continue;
        }
        ensure!(output.ok()? == "box", "{flags}: {output:?}");
        scene.says(
            &format!("inspect -f {{{{.HostConfig.{field}}}}} box"),
            value,
        )?;
    }
    // Seen from inside, on either version of control groups.
    let inside = "cat /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids/pids.max";
    scene.says(&format!("exec box sh -c '{inside}'"), "77")?;
    scene.ok("run -d --name other busybox sleep 1000")?;
    scene.says("update --cpus 0.5 other", "other")?;
    scene.says("inspect -f {{.HostConfig.NanoCpus}} other", "500000000")?;
    for flag in ["--cpu-rt-period 1000000", "--cpu-rt-runtime 1000"] {
        // Real-time CPU time has to be there in the group above.
        let output = scene.typed(&format!("update {flag} other"))?;
        ensure!(
            output.code == 0 || output.stderr.contains("Cannot update container"),
            "{output:?}"
        );
    }
    Ok(())
}

fn flags_of_stats_and_events(scene: &Scene) -> Result<()> {
    let id = scene.ok("run -d --name up busybox sleep 1000")?;
    scene.ok("create --name down busybox")?;
    scene.lists(
        "stats --no-stream --all --format {{.Name}}",
        &["down", "up"],
    )?;
    scene.says("stats --no-stream --format {{.Name}}", "up")?;
    scene.says("stats --no-stream --no-trunc --format {{.ID}} up", &id)?;
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |at| at.as_secs())
    };
    let begun = now();
    scene.says("rename up other", "")?;
    scene.ok("kill other")?;
    let line = |filter: &str| {
        let until = now() + 1;
        format!(
            "events --since {} --until {until} {filter} --format '{{{{.Type}}}} {{{{.Action}}}}'",
            begun - 1
        )
    };
    let seen = scene.ok(&line(
        "--filter container=other --filter event=rename --filter event=die",
    ))?;
    ensure!(seen == "container rename\ncontainer die", "{seen}");
    scene.says(&line("--filter type=volume"), "")?;
    let json = scene.ok(&format!(
        "events --since {begun} --until {} --filter event=rename --format json",
        now() + 1
    ))?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    ensure!(
        json["Action"] == "rename" && json["Actor"]["Attributes"]["oldName"] == "/up",
        "{json}"
    );
    let plain = scene.ok(&format!(
        "events --since {begun} --until {} --filter event=rename",
        now() + 1
    ))?;
    ensure!(
        plain.contains(&format!("container rename {id} (")),
        "{plain}"
    );
    Ok(())
}

fn flags_of_prunes_and_usage(scene: &Scene) -> Result<()> {
    scene.ok("create --name keep --label keep=yes busybox")?;
    scene.ok("create --name go busybox")?;
    scene.ok("container prune --force --filter label!=keep")?;
    scene.says("ps -a --format {{.Names}}", "keep")?;
    scene.ok("container prune -f --filter until=24h")?;
    scene.says("ps -a --format {{.Names}}", "keep")?;
    scene.ok("volume create --label keep=yes --driver local --opt type=tmpfs --opt device=tmpfs labelled")?;
    scene.says(
        "volume inspect --format '{{.Labels.keep}} {{.Options.type}}' labelled",
        "yes tmpfs",
    )?;
    scene.ok("volume create plain")?;
    if !scene.on_dockerd() {
        // Named ones only with --all.
        scene.ok("volume prune -f")?;
        scene.lists("volume ls --quiet", &["labelled", "plain"])?;
        scene.ok("volume prune --all --force --filter label!=keep")?;
        scene.says("volume ls -q", "labelled")?;
    }
    scene.ok("volume rm --force nothing labelled")?;
    let usage = scene.ok("system df --verbose")?;
    ensure!(
        usage.contains("Images space usage:") && usage.contains("keep"),
        "{usage}"
    );
    scene.says(
        "system df --format '{{.Type}}'",
        "Images\nContainers\nLocal Volumes\nBuild Cache",
    )?;
    scene.ok("create --name gone -v /anonymous busybox")?;
    scene.ok("create --name kept --label keep=yes busybox")?;
    let pruned = scene.ok("system prune --force --volumes --filter label!=keep")?;
    ensure!(pruned.contains("Deleted Containers:\n"), "{pruned}");
    scene.lists("ps -a --format {{.Names}}", &["keep", "kept"])?;
    // An image with a name goes with --all alone, and only while no container is of it.
    scene.ok("create --name source busybox")?;
    scene.ok("commit source spare:1")?;
    let left_out = "--filter label!=keep";
    scene.ok(&format!("system prune --force {left_out}"))?;
    scene.says("images --format {{.Repository}} spare", "spare")?;
    scene.ok("create --name of-spare --label keep=yes spare:1")?;
    scene.ok(&format!("system prune --all --force {left_out}"))?;
    scene.says("images --format {{.Repository}} spare", "spare")?;
    scene.ok("rm of-spare")?;
    scene.ok(&format!("system prune --all --force {left_out}"))?;
    scene.says("images --format {{.Repository}} spare", "")
}

fn flags_of_inspect_and_contexts(scene: &Scene) -> Result<()> {
    scene.fails(
        "run --name box busybox sh -c 'echo 12345 > /file; exit 1'",
        1,
        "",
    )?;
    scene.says("inspect --size --format {{.SizeRw}} box", "6")?;
    scene.says("container inspect -s -f {{.SizeRw}} box", "6")?;
    scene.says("inspect --type container -f {{.Name}} box", "/box")?;
    scene.fails("inspect --type image box", 1, "No such image: box")?;
    scene.ok("context create one --description far --docker host=tcp://192.0.2.1:2375")?;
    scene.says(
        "context inspect --format {{.Endpoints.docker.Host}} one",
        "tcp://192.0.2.1:2375",
    )?;
    scene.ok("context create two --from one")?;
    scene.ok("context update two --description near --docker host=tcp://192.0.2.2:2375")?;
    scene.says("context ls --quiet", "default\none\ntwo")?;
    scene.says(
        "context ls --format '{{.Name}} {{.Description}}'",
        "default Current DOCKER_HOST based configuration\none far\ntwo near",
    )?;
    let file = scene.daemon.path("two.tar");
    let path = file.display();
    scene.ok(&format!("context export two {path}"))?;
    scene.ok(&format!("context import three {path}"))?;
    scene.says(
        "context inspect -f '{{.Endpoints.docker.Host}}' three",
        "tcp://192.0.2.2:2375",
    )?;
    scene.ok("context rm one two three")?;
    scene.says("context rm --force nothing", "nothing")?;
    scene.says("context ls -q", "default")
}
