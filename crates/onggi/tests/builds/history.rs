//! What is remembered of builds, and what they take: `builder history`, `builder du`.

use super::scene::{Build, inspect};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Request, wait_until};
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::net::UnixStream;

const FILE: &str = "FROM busybox AS make\nRUN echo from-make > /m\nFROM busybox\nCOPY --from=make /m /m\nRUN echo told-by-run && echo x > /x\n";

fn history(daemon: &Daemon) -> Result<Vec<Value>> {
    let all = daemon.get("/build/history")?.ok()?.json()?;
    Ok(all.as_array().cloned().unwrap_or_default())
}

#[test]
fn builds_are_remembered_with_what_they_told() -> Result<()> {
    let mut daemon = Daemon::start()?;
    daemon.load_busybox()?;
    ensure!(history(&daemon)?.is_empty());
    let id = Build::of(FILE).set("t", "app:1").image(&daemon)?;
    Build::of(FILE).set("t", "app:2").image(&daemon)?;
    let failed = Build::of("FROM busybox\nRUN echo last-words && exit 7\n").send(&daemon)?;
    ensure!(failed.code == 7, "{failed:?}");
    daemon.kill()?;
    daemon.run()?;
    let all = history(&daemon)?;
    let told = |at: usize, key: &str| all[at][key].clone();
    ensure!(all.len() == 3, "{all:?}");
    ensure!(told(0, "Status") == "error", "{all:?}");
    ensure!(
        told(0, "Error").as_str().is_some_and(|it| it.contains("7")),
        "{all:?}"
    );
    ensure!(
        told(1, "Status") == "completed" && told(1, "Name") == "app:2",
        "{all:?}"
    );
    ensure!(
        told(1, "CachedSteps") == 3 && told(2, "CachedSteps") == 0,
        "{all:?}"
    );
    ensure!(told(2, "Image") == id.as_str(), "{all:?}");

    let lines = daemon.cli(&["builder", "history", "ls"])?.ok()?.to_owned();
    let lines: Vec<&str> = lines.lines().collect();
    ensure!(lines.len() == 4, "{lines:?}");
    ensure!(
        lines[0].starts_with("BUILD ID") && lines[0].ends_with("DURATION"),
        "{lines:?}"
    );
    ensure!(
        lines[1].contains("Error") && lines[2].contains("Completed"),
        "{lines:?}"
    );
    let text = daemon
        .cli(&["builder", "history", "inspect", "^1"])?
        .ok()?
        .to_owned();
    ensure!(
        text.contains("app:2") && text.contains("% cached)"),
        "{text}"
    );
    let text = daemon.cli(&["builder", "history", "inspect", "--format", "{{.Status}}"])?;
    ensure!(text.ok()? == "Error", "{text:?}");
    let text = daemon
        .cli(&["builder", "history", "logs"])?
        .ok()?
        .to_owned();
    ensure!(
        text.contains("last-words") && text.contains("ERROR: "),
        "{text}"
    );
    let first = all[2]["Id"].as_str().context("an id")?;
    let text = daemon
        .cli(&["builder", "history", "logs", &first[..8]])?
        .ok()?
        .to_owned();
    ensure!(
        text.contains("told-by-run") && text.contains("DONE"),
        "{text}"
    );
    let text = daemon.cli(&["builder", "history", "logs", "--progress=rawjson", first])?;
    ensure!(
        text.ok()?
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{text:?}"
    );

    let ids = daemon.cli(&["builder", "history", "ls", "-q"])?;
    ensure!(ids.ok()?.lines().count() == 3, "{ids:?}");

    let unknown = daemon.get("/build/history/fffffffffffffffffffffffff")?;
    ensure!(unknown.status == 404, "{}", unknown.text());
    daemon.cli(&["builder", "history", "rm", first])?.ok()?;
    ensure!(history(&daemon)?.len() == 2);
    daemon.cli(&["builder", "history", "rm", "--all"])?.ok()?;
    ensure!(history(&daemon)?.is_empty());
    Ok(())
}

#[test]
fn a_build_whose_client_went_was_cancelled() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let build = Build::of("FROM busybox\nRUN echo begun && sleep 1000\n");
    let body = build.body()?;
    let mut stream = UnixStream::connect(daemon.socket())?;
    write!(
        stream,
        "POST /build HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)?;
    wait_until("the command to run", LIMIT, || {
        let all = history(&daemon).ok()?;
        let id = all.first()?["Id"].as_str()?.to_owned();
        let path = format!("/build/history/{id}/logs");
        let log = daemon.send(&Request::new("GET", &path)).ok()?;
        log.text().contains("begun\\n").then_some(())
    })?;
    ensure!(history(&daemon)?[0]["Status"] == "running");
    drop(stream);
    wait_until("the build to be cancelled", LIMIT, || {
        let all = history(&daemon).ok()?;
        (all.first()?["Status"] == "canceled").then_some(())
    })?;
    Ok(())
}

#[test]
fn what_is_kept_of_builds_is_told() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Build::of(FILE).image(&daemon)?;
    let text = daemon.cli(&["builder", "du"])?.ok()?.to_owned();
    let first = text.lines().next().unwrap_or_default();
    let columns: Vec<&str> = first
        .split("  ")
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    ensure!(
        columns == ["ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"],
        "{text}"
    );
    ensure!(
        text.contains("Reclaimable:\t") && text.contains("Total:\t"),
        "{text}"
    );
    let text = daemon.cli(&[
        "builder",
        "du",
        "--verbose",
        "--filter",
        "description=told-by-run",
    ])?;
    let text = text.ok()?.to_owned();
    ensure!(text.matches("Description:\t").count() == 1, "{text}");
    ensure!(text.contains("Usage count:\t"), "{text}");
    let ids = daemon.cli(&[
        "builder",
        "du",
        "--format",
        "{{.ID}}",
        "--filter",
        "type=regular",
    ])?;
    ensure!(ids.ok()?.lines().count() == 3, "{ids:?}");
    Ok(())
}

#[test]
fn a_build_that_its_daemon_did_not_outlive_is_remembered() -> Result<()> {
    let mut daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let stream = Build::of("FROM busybox\nRUN echo begun && sleep 600\n")
        .set("t", "app")
        .begin(&daemon, "begun")?;
    let place = daemon.data_root().join("build/history");
    wait_until("the record", LIMIT, || {
        let mut entries = std::fs::read_dir(&place).ok()?.flatten();
        entries.find(|entry| entry.path().extension().is_some_and(|kind| kind == "json"))
    })?;
    ensure!(history(&daemon)?[0]["Status"] == "running");
    daemon.kill()?;
    drop(stream);
    daemon.run()?;
    let all = history(&daemon)?;
    ensure!(all.len() == 1 && all[0]["Status"] == "error", "{all:?}");
    ensure!(all[0]["Name"] == "app", "{all:?}");
    let why = all[0]["Error"].as_str().unwrap_or_default();
    ensure!(why.starts_with("interrupted: "), "{why}");
    daemon.cli(&["builder", "history", "logs"])?.ok()?;
    let id = all[0]["Id"].as_str().context("an id")?;
    daemon.cli(&["builder", "history", "rm", id])?.ok()?;
    ensure!(history(&daemon)?.is_empty());
    Ok(())
}

#[test]
fn what_is_done_beside_the_steps_is_told_and_kept() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let place = tempfile::tempdir()?;
    let file = "from busybox\nRUN echo one > /one\nMAINTAINER me\n";
    std::fs::write(place.path().join("Dockerfile"), file)?;
    let place = place.path().display().to_string();
    let from = "--cache-from=type=local,src=/nowhere";
    let flags = [
        "build",
        "--progress=plain",
        "-t",
        "app",
        "--build-arg",
        "NOT=1",
        from,
        &place,
    ];
    let said = daemon.cli(&flags)?;
    said.ok()?;
    let id = inspect(&daemon, "app")?["Id"]
        .as_str()
        .context("an id")?
        .to_owned();
    let wrote = format!(" writing image {id} done\n");
    let named = " naming to docker.io/library/app:latest done\n".to_owned();
    let warned = " WARN: /nowhere is no cache: there is no index.json in it\n".to_owned();
    for text in [&wrote, &named, &warned] {
        ensure!(
            said.stderr.contains(text.as_str()),
            "{text}: {}",
            said.stderr
        );
    }
    let end = "\n 4 warnings found:\n\
        \x20- ConsistentInstructionCasing: Command 'from' should match the case of the command majority (uppercase) (line 1)\n\
        \x20- MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 3)\n\
        \x20- /nowhere is no cache: there is no index.json in it\n\
        \x20- One or more build-args [NOT] were not consumed\n";
    ensure!(said.stderr.ends_with(end), "{}", said.stderr);
    let logs = daemon.cli(&["builder", "history", "logs"])?;
    let logs = logs.ok()?.to_owned() + &logs.stderr;
    for text in [
        "importing cache manifest from /nowhere",
        "WARN: /nowhere is no cache",
        &id,
    ] {
        ensure!(logs.contains(text), "{text}: {logs}");
    }
    // Docker's lines have what Docker's lines have.
    let built = Build::of(file)
        .set("buildargs", "{\"NOT\":\"1\"}")
        .send(&daemon)?;
    let warned = "[Warning] One or more build-args [NOT] were not consumed\n";
    ensure!(
        built.text.contains(warned) && !built.text.contains("Casing"),
        "{}",
        built.text
    );
    // What is found is an error to whoever wants that.
    for build in [
        Build::of(&format!("# check=error=true\n{file}")),
        Build::of(file).set(
            "buildargs",
            "{\"BUILDKIT_DOCKERFILE_CHECK\":\"error=true\"}",
        ),
    ] {
        let error = build.send(&daemon)?.error.context("an error")?;
        let rules =
            "lint violation found for rules: ConsistentInstructionCasing, MaintainerDeprecated";
        ensure!(error.starts_with(rules), "{error}");
    }
    Ok(())
}
