//! S7: stop, start, restart, kill, pause, wait, rm, rename, update; logs, top, stats, port.

use crate::as_typed;
use crate::scene::Scene;
use anyhow::{Result, ensure};
use onggi_testkit::{LIMIT, wait_until};

as_typed!(
    a_life_from_run_to_rm,
    signals_and_what_comes_of_them,
    logs_are_read_and_followed,
    a_running_container_is_looked_at_and_changed,
);

/// Says so when it gets SIGTERM, and ends with 9.
const POLITE: &str = "run -d --name box busybox sh -c 'trap \"echo bye; exit 9\" TERM; echo hello; while :; do sleep 0.1; done'";

fn a_life_from_run_to_rm(scene: &Scene) -> Result<()> {
    let id = scene.ok(POLITE)?;
    scene.until("logs box", |said| said == "hello")?;
    scene.says("stop box", "box")?;
    scene.says(
        "inspect -f '{{.State.Status}} {{.State.ExitCode}}' box",
        "exited 9",
    )?;
    scene.says("logs box", "hello\nbye")?;
    scene.says("start box", "box")?;
    scene.until("logs box", |said| said == "hello\nbye\nhello")?;
    scene.says("restart box", "box")?;
    scene.until("logs box", |said| said == "hello\nbye\nhello\nbye\nhello")?;
    let refusal = if scene.on_dockerd() {
        "You cannot remove a running container"
    } else {
        "container is running: stop the container before removing or force remove"
    };
    scene.fails("rm box", 1, refusal)?;
    let waiting = scene.process(&format!("wait {id}"))?;
    scene.says("rename box pot", "")?;
    scene.says("inspect -f {{.Name}} pot", "/pot")?;
    scene.says("stop pot", "pot")?;
    let waited = waiting.wait()?;
    ensure!(waited.ok()? == "9", "{waited:?}");
    scene.says("rm pot", "pot")?;
    scene.fails("rm pot", 1, "No such container: pot")?;
    let gone = scene.typed("rm -f pot")?;
    ensure!(
        gone.code == 0 && gone.stderr.contains("No such container: pot"),
        "{gone:?}"
    );
    scene.ok("run -d --name forced busybox sleep 1000")?;
    scene.says("rm -f forced", "forced")?;
    // --rm: gone when it has ended, and with it its name.
    scene.says("run --rm --name once busybox echo done", "done")?;
    scene.says("ps -aq", "")?;
    scene.fails("run --rm busybox sh -c 'exit 42'", 42, "")?;
    scene.fails(
        "run --rm busybox nothing",
        127,
        "executable file not found in $PATH",
    )?;
    scene.fails("run --rm busybox /etc", 126, "/etc")
}

fn signals_and_what_comes_of_them(scene: &Scene) -> Result<()> {
    let script =
        "trap \"echo one\" USR1; trap \"echo two\" USR2; echo ready; while :; do sleep 0.1; done";
    scene.ok(&format!(
        "run -d --name box --restart always busybox sh -c '{script}'"
    ))?;
    scene.until("logs box", |said| said == "ready")?;
    scene.says("kill -s USR1 box", "box")?;
    scene.until("logs box", |said| said == "ready\none")?;
    scene.says("kill --signal SIGUSR2 box", "box")?;
    scene.until("logs box", |said| said == "ready\none\ntwo")?;
    // Killed is dead when the command is back, and no policy brings it back.
    scene.says("kill box", "box")?;
    scene.says(
        "inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}' box",
        "exited 137 0",
    )?;
    scene.fails("kill box", 1, "is not running")?;
    scene.fails("kill -s NOPE box", 1, "")?;
    scene.says("start box", "box")?;
    scene.says("pause box", "box")?;
    scene.says("ps --format {{.State}}", "paused")?;
    scene.fails("pause box", 1, "already paused")?;
    scene.fails("exec box true", 1, "is paused")?;
    scene.says("unpause box", "box")?;
    scene.fails("unpause box", 1, "is not paused")?;
    scene.says("stop -t 0 box", "box")?;
    scene.says("inspect -f {{.State.Status}} box", "exited")?;
    // One that is stopped is stopped.
    scene.says("stop box", "box")?;
    scene.fails("stop nobody", 1, "No such container: nobody")?;
    scene.says("wait box", "137")
}

fn logs_are_read_and_followed(scene: &Scene) -> Result<()> {
    let script = "echo first; echo aside >&2; until [ -e /more ]; do usleep 10000; done; echo last";
    scene.ok(&format!("run -d --name box busybox sh -c '{script}'"))?;
    let mut follower = scene.process("logs -f box")?;
    follower.expect("first\n")?;
    let later = scene.process("logs -f --tail 0 box")?;
    scene.ok("exec box touch /more")?;
    let followed = follower.wait()?;
    ensure!(
        (followed.code, &*followed.stdout, &*followed.stderr) == (0, "first\nlast\n", "aside\n"),
        "{followed:?}"
    );
    let later = later.wait()?;
    ensure!(
        later.code == 0 && !later.stdout.contains("first"),
        "{later:?}"
    );
    scene.says("logs --tail 1 box", "last")?;
    scene.says("logs -n 0 box", "")?;
    scene.says("logs --since 1h box", "first\nlast")?;
    scene.says("logs --until 1h box", "")?;
    let stamped = scene.ok("logs -t box")?;
    let Some((time, text)) = stamped.lines().next().and_then(|line| line.split_once(' ')) else {
        anyhow::bail!("{stamped}");
    };
    ensure!(
        text == "first" && time.ends_with('Z') && time.len() == 30,
        "{stamped}"
    );
    // From the second line's time on there is no first line.
    let last = stamped.lines().last().and_then(|line| line.split_once(' '));
    let Some((time, _)) = last else {
        anyhow::bail!("{stamped}");
    };
    scene.says(&format!("logs --since {time} box"), "last")?;
    scene.fails("logs nobody", 1, "No such container: nobody")
}

fn a_running_container_is_looked_at_and_changed(scene: &Scene) -> Result<()> {
    scene.ok("run -d --name box -m 64m -p 127.0.0.1:8080:80 busybox sleep 1000")?;
    let top = scene.ok("top box")?;
    ensure!(
        top.starts_with("UID") && top.contains("sleep 1000"),
        "{top}"
    );
    let top = scene.ok("top box -o pid,comm")?;
    ensure!(
        top.lines()
            .next()
            .map(|l| l.split_whitespace().collect::<Vec<_>>())
            == Some(vec!["PID", "COMMAND"])
            && top.contains("sleep"),
        "{top}"
    );
    let stats = scene.ok("stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsage}}' box")?;
    ensure!(
        stats.starts_with("box 1 ") && stats.ends_with("/ 64MiB"),
        "{stats}"
    );
    let mut stream = scene.process("stats --format {{.Name}} box")?;
    stream.expect("box")?;
    drop(stream);
    scene.says("port box", "80/tcp -> 127.0.0.1:8080")?;
    scene.says(
        "update -m 96m --memory-swap 96m --restart unless-stopped box",
        "box",
    )?;
    scene.says(
        "inspect -f '{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}' box",
        "100663296 unless-stopped",
    )?;
    scene.fails(
        "update --cpu-shares 2 nobody",
        1,
        "No such container: nobody",
    )?;
    scene.says("exec box sh -c 'echo inside $0' word", "inside word")?;
    scene.fails("exec box sh -c 'exit 3'", 3, "")?;
    scene.says(
        "exec -e A=b -w /tmp -u 65534 box sh -c 'echo $A $(pwd) $(id -u)'",
        "b /tmp 65534",
    )?;
    scene.ok("exec -d box touch /later")?;
    wait_until("a detached exec", LIMIT, || {
        (scene.typed("exec box test -e /later").ok()?.code == 0).then_some(())
    })
}
