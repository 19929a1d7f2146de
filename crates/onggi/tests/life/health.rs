//! Health checks: probes in the container, their log, their events, and what `ps` says.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, Image, Subject};
use serde_json::{Value, json};

use crate::{act, daemon, inspect, ours, refused, run, wait_for};

const MS: i64 = 1_000_000;

fn body(check: Value) -> Value {
    json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "Healthcheck": check})
}

fn wait_for_health(daemon: &Daemon, name: &str, status: &str) -> Result<Value> {
    let fits = |c: &Value| c["State"]["Health"]["Status"] == status;
    Ok(wait_for(daemon, name, status, fits)?["State"]["Health"].take())
}

#[test]
fn a_container_becomes_healthy_and_unhealthy() -> Result<()> {
    let daemon = daemon()?;
    let script = "echo checking; test -e /healthy";
    let check = json!({"Test": ["CMD-SHELL", script], "Interval": 100 * MS, "Retries": 2});
    let id = run(&daemon, "one", &body(check))?;
    let health = wait_for_health(&daemon, "one", "unhealthy")?;
    ensure!(health["FailingStreak"].as_i64() >= Some(2), "{health}");
    ensure!(
        health["Log"][0]["ExitCode"] == 1 && health["Log"][0]["Output"] == "checking\n",
        "{health}"
    );
    let list = daemon.get("/containers/json?filters=%7B%22health%22%3A%5B%22unhealthy%22%5D%7D")?;
    let list = list.ok()?.json()?;
    ensure!(list[0]["Id"] == id, "{list}");
    ensure!(
        list[0]["Status"]
            .as_str()
            .is_some_and(|s| s.ends_with("(unhealthy)")),
        "{list}"
    );
    daemon.cli(&["exec", "one", "touch", "/healthy"])?.ok()?;
    wait_for_health(&daemon, "one", "healthy")?;
    wait_for(&daemon, "one", "five results", |c| {
        c["State"]["Health"]["Log"]
            .as_array()
            .is_some_and(|log| log.len() == 5)
    })?;
    // Probes leave nothing behind.
    ensure!(
        inspect(&daemon, "one")?["ExecIDs"]
            .as_array()
            .is_none_or(|l| l.len() < 3)
    );
    act(&daemon, "one", "stop?t=0")?.ok()?;
    ensure!(inspect(&daemon, "one")?["State"]["Health"]["Status"] == "unhealthy");
    let events = daemon.cli(&[
        "events",
        "--since",
        "10m",
        "--until",
        "0s",
        "--filter",
        "event=health_status",
    ])?;
    let text = events.ok()?;
    ensure!(
        text.contains("health_status: unhealthy") && text.contains("health_status: healthy"),
        "{text}"
    );
    daemon.clean()
}

#[test]
fn failures_at_the_start_are_forgiven() -> Result<()> {
    let daemon = daemon()?;
    let check = json!({
        "Test": ["CMD", "test", "-e", "/healthy"], "Interval": 100 * MS, "Retries": 1,
        "StartPeriod": 3_600_000 * MS, "StartInterval": 50 * MS,
    });
    run(&daemon, "one", &body(check))?;
    let tried = |c: &Value| {
        c["State"]["Health"]["Log"]
            .as_array()
            .is_some_and(|l| l.len() >= 3)
    };
    let now = wait_for(&daemon, "one", "three results", tried)?;
    let health = &now["State"]["Health"];
    ensure!(
        health["Status"] == "starting" && health["FailingStreak"] == 0,
        "{health}"
    );
    daemon.cli(&["exec", "one", "touch", "/healthy"])?.ok()?;
    wait_for_health(&daemon, "one", "healthy")?;
    daemon.cli(&["exec", "one", "rm", "/healthy"])?.ok()?;
    wait_for_health(&daemon, "one", "unhealthy")?;
    daemon.clean()
}

#[test]
fn probes_are_cut_short() -> Result<()> {
    let daemon = daemon()?;
    let script = "head -c 5000 /dev/zero | tr '\\0' x; sleep 1000";
    let check = json!({"Test": ["CMD-SHELL", script], "Interval": 100 * MS, "Timeout": 300 * MS, "Retries": 1});
    run(&daemon, "slow", &body(check))?;
    let health = wait_for_health(&daemon, "slow", "unhealthy")?;
    ensure!(health["Log"][0]["ExitCode"] == -1, "{health}");
    let said = health["Log"][0]["Output"].as_str().unwrap_or_default();
    ensure!(
        said.starts_with("Health check exceeded timeout (300ms)"),
        "{said}"
    );
    let check =
        json!({"Test": ["CMD-SHELL", "head -c 5000 /dev/zero | tr '\\0' x"], "Interval": 100 * MS});
    run(&daemon, "loud", &body(check))?;
    let health = wait_for_health(&daemon, "loud", "healthy")?;
    let said = health["Log"][0]["Output"].as_str().unwrap_or_default();
    ensure!(
        said.len() == 4096 + 3 && said.ends_with("x..."),
        "{}",
        said.len()
    );
    daemon.clean()
}

#[test]
fn checks_come_from_the_image_unless_the_client_says_none() -> Result<()> {
    let daemon = daemon()?;
    let check = json!({"Test": ["CMD", "true"], "Interval": 100 * MS});
    let image = Image::busybox()?.config(json!({"Healthcheck": check}));
    daemon.load(&image, &["checked:latest"])?;
    let own =
        |check: Value| json!({"Image": "checked", "Cmd": ["sleep", "1000"], "Healthcheck": check});
    run(&daemon, "inherited", &own(Value::Null))?;
    wait_for_health(&daemon, "inherited", "healthy")?;
    run(&daemon, "changed", &own(json!({"Timeout": 5000 * MS})))?;
    let config = inspect(&daemon, "changed")?["Config"]["Healthcheck"].take();
    ensure!(
        config["Test"] == json!(["CMD", "true"]) && config["Timeout"] == 5000 * MS,
        "{config}"
    );
    run(&daemon, "none", &own(json!({"Test": ["NONE"]})))?;
    ensure!(inspect(&daemon, "none")?["State"].get("Health").is_none());
    for wrong in [
        json!({"Test": ["CMD", "true"], "Interval": 5}),
        json!({"Test": ["CMD", "true"], "Retries": -1}),
    ] {
        let answer = daemon.post("/containers/create", &body(wrong))?;
        ensure!(
            answer.status >= 400 && answer.text().contains("in Healthcheck cannot be"),
            "{}",
            answer.text()
        );
    }
    if daemon.subject() == Subject::Onggi {
        let answer = daemon.post("/containers/create", &body(json!({"Test": ["HTTP", "/"]})))?;
        refused(&answer, 400, "unknown type 'HTTP' in Healthcheck")?;
    }
    daemon.clean()
}

#[test]
fn health_goes_on_after_the_daemon_was_killed() -> Result<()> {
    if !ours("starts over")? {
        return Ok(());
    }
    let mut daemon = daemon()?;
    // The second probe would come after the limit of this test: the one after the restart comes at once.
    let check = json!({
        "Test": ["CMD-SHELL", "echo run >> /runs"], "Interval": 3_600_000 * MS,
        "StartPeriod": 3_600_000 * MS, "StartInterval": 10 * MS,
    });
    run(&daemon, "one", &body(check))?;
    wait_for_health(&daemon, "one", "healthy")?;
    daemon.kill()?;
    daemon.run()?;
    ensure!(inspect(&daemon, "one")?["State"]["Health"]["Status"] == "healthy");
    onggi_testkit::wait_until("the second probe", onggi_testkit::LIMIT, || {
        let runs = daemon.cli(&["exec", "one", "cat", "/runs"]).ok()?;
        (runs.stdout.lines().count() == 2).then_some(())
    })?;
    daemon.clean()
}

#[test]
fn unhealthy_ones_are_started_again_where_that_is_asked_for() -> Result<()> {
    if !ours("does not know that")? {
        return Ok(());
    }
    let daemon = daemon()?;
    let flags = [
        "run",
        "-d",
        "--name",
        "one",
        "--stop-signal",
        "KILL",
        "--health-cmd",
        "test ! -e /sick",
        "--health-interval",
        "100ms",
        "--health-retries",
        "1",
        "--on-unhealthy",
        "restart",
        "busybox",
        "sh",
        "-c",
        // Each run says so; what makes it sick goes with the file that the next run removes.
        "echo run; rm -f /sick; exec sleep 10000",
    ];
    daemon.cli(&flags)?.ok()?;
    let host = inspect(&daemon, "one")?["HostConfig"].take();
    ensure!(
        host["OnUnhealthy"] == "restart" && host["RestartPolicy"]["Name"] == "no",
        "{host}"
    );
    wait_for_health(&daemon, "one", "healthy")?;
    daemon.cli(&["exec", "one", "touch", "/sick"])?.ok()?;
    let again = |count: i64| {
        move |c: &Value| c["RestartCount"] == count && c["State"]["Status"] == "running"
    };
    wait_for(&daemon, "one", "its restart", again(1))?;
    wait_for_health(&daemon, "one", "healthy")?;
    ensure!(daemon.cli(&["logs", "one"])?.ok()? == "run\nrun");
    let events = daemon.cli(&[
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "container=one",
    ])?;
    let events = events.ok()?;
    let mut rest = events;
    for word in [
        "health_status: unhealthy",
        "reason=unhealthy",
        " die ",
        " start ",
        " restart ",
        "reason=unhealthy",
    ] {
        let Some(at) = rest.find(word) else {
            anyhow::bail!("{word} is missing in {events}");
        };
        rest = &rest[at + word.len()..];
    }
    let why = daemon.cli(&["why", "one"])?;
    ensure!(
        why.ok()?
            .contains("it was started again because its health check failed before"),
        "{why:?}"
    );
    // Whoever stops it has the last word, and so has whoever takes the wish away.
    daemon
        .cli(&["update", "--on-unhealthy", "no", "one"])?
        .ok()?;
    ensure!(
        inspect(&daemon, "one")?["HostConfig"]
            .get("OnUnhealthy")
            .is_none()
    );
    daemon.cli(&["exec", "one", "touch", "/sick"])?.ok()?;
    wait_for_health(&daemon, "one", "unhealthy")?;
    daemon
        .cli(&["update", "--on-unhealthy", "restart", "one"])?
        .ok()?;
    wait_for(&daemon, "one", "its second restart", again(2))?;
    act(&daemon, "one", "stop?t=0")?.ok()?;
    ensure!(inspect(&daemon, "one")?["State"]["Status"] == "exited");
    for (words, text) in [
        (&["--on-unhealthy", "restart"][..], "no health check"),
        (
            &["--on-unhealthy", "panic", "--health-cmd", "true"],
            "use one of 'no' or 'restart'",
        ),
        (
            &["--on-unhealthy", "restart", "--health-cmd", "true", "--rm"],
            "AutoRemove",
        ),
    ] {
        let said = daemon.cli(&[&["create"], words, &["busybox"]].concat())?;
        ensure!(
            said.code != 0 && said.stderr.contains(text),
            "{words:?}: {said:?}"
        );
    }
    daemon.clean()
}

#[test]
fn the_daemons_death_does_not_lose_a_restart() -> Result<()> {
    if !ours("does not know that")? {
        return Ok(());
    }
    let mut daemon = daemon()?;
    // It takes its time to end, so that the daemon is killed in between.
    let flags = [
        "run",
        "-d",
        "--name",
        "one",
        "--stop-timeout",
        "1000",
        "--health-cmd",
        "test ! -e /sick",
        "--health-interval",
        "100ms",
        "--health-retries",
        "1",
        "--on-unhealthy",
        "restart",
        "busybox",
        "sh",
        "-c",
        "rm -f /sick; trap 'while [ ! -e /end ]; do usleep 10000; done; rm /end; exit 0' TERM; \
         echo up; while :; do usleep 10000; done",
    ];
    daemon.cli(&flags)?.ok()?;
    daemon.cli(&["exec", "one", "touch", "/sick"])?.ok()?;
    onggi_testkit::wait_until("the signal", onggi_testkit::LIMIT, || {
        let events = daemon.cli(&[
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "--filter",
            "event=kill",
        ]);
        events
            .ok()?
            .stdout
            .contains("reason=unhealthy")
            .then_some(())
    })?;
    daemon.kill()?;
    daemon.run()?;
    daemon.cli(&["exec", "one", "touch", "/end"])?.ok()?;
    wait_for(&daemon, "one", "its restart", |c| {
        c["RestartCount"] == 1 && c["State"]["Status"] == "running"
    })?;
    daemon.clean()
}
