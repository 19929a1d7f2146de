//! What one sees of containers: `top`, `stats`, `system df`, `events`, `wait`, `info`.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{act, daemon, inspect, ours, refused, run, sleeper};

#[test]
fn top_lists_the_processes() -> Result<()> {
    let ps = std::process::Command::new("ps").arg("--version").output();
    if !ps.is_ok_and(|ps| ps.status.success()) {
        eprintln!("skipped: the ps here is not that of procps");
        return Ok(());
    }
    let daemon = daemon()?;
    let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", "sleep 1000 & sleep 1000; true"]});
    run(&daemon, "one", &body)?;
    let top = |arguments: &str| daemon.get(&format!("/containers/one/top{arguments}"));
    let list = onggi_testkit::wait_until("three processes", onggi_testkit::LIMIT, || {
        let list = top("").ok()?.ok().ok()?.json().ok()?;
        (list["Processes"].as_array()?.len() == 3).then_some(list)
    })?;
    ensure!(
        list["Titles"] == json!(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]),
        "{list}"
    );
    let pid = inspect(&daemon, "one")?["State"]["Pid"].to_string();
    ensure!(list["Processes"][0][1] == pid, "{list} {pid}");
    let own = top("?ps_args=-o%20pid,comm")?.ok()?.json()?;
    ensure!(own["Titles"] == json!(["PID", "COMMAND"]), "{own}");
    let forest = top("?ps_args=aux%20f")?.ok()?.json()?;
    ensure!(
        forest["Processes"].as_array().is_some_and(|l| l.len() == 3),
        "{forest}"
    );
    ensure!(top("?ps_args=--no-such")?.status == 500);
    ensure!(
        top("?ps_args=-o%20comm")?
            .text()
            .contains("Couldn't find PID field in ps output")
    );
    let text = daemon.cli(&["top", "one", "-o", "pid,comm"])?;
    ensure!(
        text.ok()?.starts_with("PID                 COMMAND\n"),
        "{text:?}"
    );
    act(&daemon, "one", "kill")?.ok()?;
    refused(&top("")?, 409, "is not running")?;
    daemon.clean()
}

#[test]
fn stats_are_what_the_kernel_counts() -> Result<()> {
    let daemon = daemon()?;
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", "while true; do true; done"],
        "HostConfig": {"Memory": 64 << 20, "PidsLimit": 9},
    });
    let id = run(&daemon, "busy", &body)?;
    let one = daemon
        .get("/containers/busy/stats?stream=false")?
        .ok()?
        .json()?;
    ensure!(one["id"] == id && one["name"] == "/busy", "{one}");
    ensure!(
        one["memory_stats"]["limit"] == 64 << 20 && one["pids_stats"]["limit"] == 9,
        "{one}"
    );
    ensure!(
        one["pids_stats"]["current"] == 1 && one["networks"]["eth0"]["rx_bytes"].is_u64(),
        "{one}"
    );
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let usage = |cpu: &Value| number(&cpu["cpu_usage"]["total_usage"]);
    ensure!(
        usage(&one["cpu_stats"]) > usage(&one["precpu_stats"]),
        "{one}"
    );
    ensure!(
        number(&one["cpu_stats"]["system_cpu_usage"])
            > number(&one["precpu_stats"]["system_cpu_usage"]),
        "{one}"
    );
    let shot = daemon
        .get("/containers/busy/stats?stream=false&one-shot=true")?
        .ok()?
        .json()?;
    ensure!(
        usage(&shot["precpu_stats"]) == 0 && usage(&shot["cpu_stats"]) > 0,
        "{shot}"
    );
    refused(
        &daemon.get("/containers/busy/stats?stream=1&one-shot=1")?,
        400,
        "cannot have stream=true and one-shot=true",
    )?;
    act(&daemon, "busy", "kill")?.ok()?;
    let ended = daemon
        .get("/containers/busy/stats?stream=false")?
        .ok()?
        .json()?;
    ensure!(
        ended["read"] == "0001-01-01T00:00:00Z" && usage(&ended["cpu_stats"]) == 0,
        "{ended}"
    );
    daemon.clean()
}

#[test]
fn the_command_line_shows_stats() -> Result<()> {
    let daemon = daemon()?;
    sleeper(&daemon, "one")?;
    sleeper(&daemon, "two")?;
    let table = daemon.cli(&["stats", "--no-stream"])?;
    let text = table.ok()?;
    ensure!(
        text.starts_with("CONTAINER ID   NAME")
            && text.contains("MEM USAGE / LIMIT")
            && text.lines().count() == 3,
        "{text}"
    );
    let own = daemon.cli(&[
        "stats",
        "--no-stream",
        "--format",
        "{{.Name}} {{.PIDs}}",
        "two",
        "one",
    ])?;
    ensure!(own.ok()? == "two 1\none 1", "{own:?}");
    let missing = daemon.cli(&["stats", "--no-stream", "nobody"])?;
    ensure!(
        missing.code == 1 && missing.stderr.contains("No such container: nobody"),
        "{missing:?}"
    );
    let mut live = daemon.cli_process(&["stats", "--format", "{{.Name}}"])?;
    live.expect("one")?;
    sleeper(&daemon, "three")?;
    live.expect("three")?;
    drop(live);
    daemon.clean()
}

#[test]
fn df_counts_containers_and_images() -> Result<()> {
    let daemon = daemon()?;
    let script = "dd if=/dev/zero of=/big bs=1M count=3; sleep 1000";
    let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", script]});
    run(&daemon, "one", &body)?;
    let big = |answer: &Value| answer["Containers"][0]["SizeRw"].as_i64().unwrap_or(0) >= 3 << 20;
    let old = onggi_testkit::wait_until("the file to be written", onggi_testkit::LIMIT, || {
        let answer = daemon
            .get("/v1.41/system/df")
            .ok()?
            .ok()
            .ok()?
            .json()
            .ok()?;
        big(&answer).then_some(answer)
    })?;
    ensure!(
        old["Images"][0]["Containers"] == 1 && old["LayersSize"].as_i64() > Some(0),
        "{old}"
    );
    if ours("20.10 does not know the newer form")? {
        let new = daemon
            .get("/v1.55/system/df?verbose=0&type=container")?
            .ok()?
            .json()?;
        ensure!(
            new["ContainerUsage"]["ActiveCount"] == 1 && new.get("ImageUsage").is_none(),
            "{new}"
        );
        ensure!(new["ContainerUsage"].get("Items").is_none(), "{new}");
    }
    ensure!(daemon.get("/system/df?type=nothing")?.status == 400 || !ours("takes no types")?);
    daemon.clean()
}

#[test]
fn events_tell_a_life() -> Result<()> {
    let daemon = daemon()?;
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "Labels": {"tier": "front"}});
    run(&daemon, "one", &body)?;
    for verb in ["pause", "unpause", "kill"] {
        act(&daemon, "one", verb)?.ok()?;
    }
    act(&daemon, "one", "wait")?.ok()?;
    act(&daemon, "one", "start")?.ok()?;
    act(&daemon, "one", "stop?t=0")?.ok()?;
    daemon.delete("/containers/one")?.ok()?;
    let actions = |filters: Value| -> Result<Vec<String>> {
        let filters: String = filters
            .to_string()
            .bytes()
            .map(|b| format!("%{b:02X}"))
            .collect();
        let until = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs()
            + 1;
        let answer = daemon
            .get(&format!("/events?since=1&until={until}&filters={filters}"))?
            .ok()?;
        let text = answer.text();
        let actions = text.lines().map(|line| {
            let event: Value = serde_json::from_str(line)?;
            Ok(event["Action"].as_str().context("Action")?.to_owned())
        });
        actions.collect()
    };
    let life = actions(json!({"container": ["one"]}))?;
    // A stop asks before it kills.
    let expected = [
        "create", "start", "pause", "unpause", "kill", "die", "start", "kill", "kill", "die",
        "stop", "destroy",
    ];
    ensure!(life == expected, "{life:?}");
    let some =
        actions(json!({"type": ["container"], "event": ["die", "stop"], "label": ["tier=front"]}))?;
    ensure!(some == ["die", "die", "stop"], "{some:?}");
    ensure!(actions(json!({"label": ["tier=back"]}))?.is_empty());
    daemon.clean()
}

#[test]
fn waits_end_when_they_should() -> Result<()> {
    let daemon = daemon()?;
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", "usleep 100000; exit 3"],
        "HostConfig": {"RestartPolicy": {"Name": "always"}},
    });
    run(&daemon, "again", &body)?;
    for condition in ["", "?condition=not-running", "?condition=next-exit"] {
        let answer = act(&daemon, "again", &format!("wait{condition}"))?
            .ok()?
            .json()?;
        ensure!(answer["StatusCode"] == 3, "{condition}: {answer}");
    }
    let api = daemon.api();
    let removed = std::thread::spawn(move || {
        api.post("/containers/again/wait?condition=removed", &Value::Null)
    });
    daemon.delete("/containers/again?force=1")?.ok()?;
    // It may have come too late, and then there is no such container.
    let answer = removed.join().ok().context("the wait panicked")??;
    ensure!([200, 404].contains(&answer.status), "{}", answer.text());
    refused(
        &act(&daemon, "again", "wait")?,
        404,
        "No such container: again",
    )?;
    daemon.clean()
}

#[test]
fn info_counts_by_state() -> Result<()> {
    let daemon = daemon()?;
    for name in ["one", "two", "three"] {
        sleeper(&daemon, name)?;
    }
    act(&daemon, "one", "pause")?.ok()?;
    act(&daemon, "two", "kill")?.ok()?;
    act(&daemon, "two", "wait")?.ok()?;
    let info = daemon.get("/info")?.ok()?.json()?;
    let counts = [
        "Containers",
        "ContainersRunning",
        "ContainersPaused",
        "ContainersStopped",
    ];
    let counts = counts.map(|name| info[name].as_i64().unwrap_or(-1));
    ensure!(counts == [3, 1, 1, 1], "{counts:?}");
    daemon.clean()
}
