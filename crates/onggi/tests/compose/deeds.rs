//! What is done to containers of a project: `exec`, `cp`, `attach`, `export`, `commit`, `wait`, `kill`, `pause`, `unpause`.

use anyhow::{Result, ensure};
use onggi_testkit::Daemon;

use crate::{Made, SLEEP, compose_in, made, refused, shop, write};

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    made("web", 1).run(&daemon, &[], SLEEP)?;
    made("web", 2).run(&daemon, &[], SLEEP)?;
    Ok(daemon)
}

#[test]
fn commands_run_inside() -> Result<()> {
    let daemon = daemon()?;
    let exec = |arguments: &[&str]| shop(&daemon, &[&["exec"], arguments].concat());
    let hostname = |arguments: &[&str]| -> Result<String> {
        Ok(exec(&[arguments, &["web", "hostname"]].concat())?
            .ok()?
            .to_owned())
    };
    let first = shop(&daemon, &["ps", "--format", "{{.ID}}"])?;
    let first: Vec<String> = first.ok()?.lines().map(str::to_owned).collect();
    ensure!(
        hostname(&[])? == first[0] && hostname(&["--index", "2"])? == first[1],
        "{first:?}"
    );
    let output = exec(&["-T", "web", "sh", "-c", "echo out; echo err >&2; exit 5"])?;
    ensure!(
        output.code == 5 && output.stdout == "out\n" && output.stderr == "err\n",
        "{output:?}"
    );
    let inside = exec(&[
        "-e",
        "A=1",
        "-w",
        "/tmp",
        "-u",
        "1000",
        "web",
        "sh",
        "-c",
        "echo $A $(pwd) $(id -u)",
    ])?;
    ensure!(inside.ok()? == "1 /tmp 1000", "{inside:?}");
    let right = |arguments: &[&str]| -> Result<String> {
        let script = "grep CapEff /proc/self/status";
        Ok(exec(&[arguments, &["web", "sh", "-c", script]].concat())?
            .ok()?
            .to_owned())
    };
    ensure!(right(&["--privileged"])? != right(&[])?);
    let input =
        daemon.cli_with_input(&["compose", "-p", "shop", "exec", "web", "cat"], b"typed")?;
    ensure!(input.ok()? == "typed", "{input:?}");
    exec(&["--detach", "web", "touch", "/there"])?.ok()?;
    let there = "until [ -e /there ]; do sleep 0.1; done; echo yes";
    ensure!(exec(&["web", "sh", "-c", there])?.ok()? == "yes");
    refused(&exec(&["nope", "true"])?, "no such service: nope")?;
    refused(
        &exec(&["--index", "9", "web", "true"])?,
        "service \"web\" is not running container #9",
    )?;
    refused(
        &daemon.cli(&["compose", "-p", "shop", "--dry-run", "exec", "web", "true"])?,
        "--dry-run",
    )?;
    daemon.clean()
}

#[test]
fn files_go_in_and_out() -> Result<()> {
    let daemon = daemon()?;
    let once = Made {
        oneoff: true,
        ..made("web", 7)
    };
    once.run(&daemon, &[], SLEEP)?;
    let file = write(&daemon, "file", "content\n")?;
    let has = |container: &str, path: &str| -> Result<bool> {
        Ok(daemon.cli(&["exec", container, "test", "-f", path])?.code == 0)
    };
    shop(&daemon, &["cp", &file, "web:/one"])?.ok()?;
    ensure!(
        has("shop-web-1", "/one")? && has("shop-web-2", "/one")? && !has("shop-web-7", "/one")?
    );
    shop(&daemon, &["cp", "--all", &file, "web:/two"])?.ok()?;
    ensure!(has("shop-web-1", "/two")? && has("shop-web-7", "/two")?);
    shop(&daemon, &["cp", "--index", "2", &file, "web:/three"])?.ok()?;
    ensure!(!has("shop-web-1", "/three")? && has("shop-web-2", "/three")?);
    let back = daemon.path("back").display().to_string();
    shop(&daemon, &["cp", "web:/one", &back])?.ok()?;
    ensure!(std::fs::read_to_string(&back)? == "content\n");
    std::os::unix::fs::symlink("file", daemon.path("link"))?;
    let link = daemon.path("link").display().to_string();
    shop(
        &daemon,
        &["cp", "-L", "--index", "1", &link, "web:/followed"],
    )?
    .ok()?;
    ensure!(has("shop-web-1", "/followed")?);
    shop(
        &daemon,
        &["cp", "-a", "--index", "1", &file, "web:/archived"],
    )?
    .ok()?;
    ensure!(has("shop-web-1", "/archived")?);
    refused(
        &shop(&daemon, &["cp", "-", "web:/x"])?,
        "name one with --index",
    )?;
    refused(
        &shop(&daemon, &["cp", "web:/a", "web:/b"])?,
        "copying between containers",
    )?;
    refused(
        &daemon.cli(&["compose", "-p", "shop", "--dry-run", "cp", &file, "web:/x"])?,
        "--dry-run",
    )?;
    daemon.clean()
}

#[test]
fn containers_become_archives_and_images() -> Result<()> {
    let daemon = daemon()?;
    daemon
        .cli(&["exec", "shop-web-2", "touch", "/marked"])?
        .ok()?;
    let tar = daemon.path("root.tar").display().to_string();
    shop(
        &daemon,
        &["export", "--index", "2", "--output", &tar, "web"],
    )?
    .ok()?;
    let mut archive = tar::Archive::new(std::fs::File::open(&tar)?);
    let mut names = Vec::new();
    for entry in archive.entries()? {
        names.push(entry?.path()?.display().to_string());
    }
    ensure!(
        names.iter().any(|name| name.ends_with("marked")),
        "{names:?}"
    );
    let flags = [
        "--index",
        "2",
        "-a",
        "Ann",
        "-m",
        "why",
        "-c",
        "ENV A=1",
        "--pause=false",
    ];
    let id = shop(
        &daemon,
        &[&["commit"], &flags[..], &["web", "shop/saved:1"]].concat(),
    )?;
    ensure!(id.ok()?.starts_with("sha256:"), "{id:?}");
    let image = daemon.get("/images/shop/saved:1/json")?.json()?;
    ensure!(
        image["Author"] == "Ann" && image["Comment"] == "why",
        "{image}"
    );
    ensure!(
        image["Config"]["Env"].to_string().contains("A=1"),
        "{image}"
    );
    ensure!(
        daemon
            .cli(&["run", "--rm", "shop/saved:1", "ls", "/marked"])?
            .ok()?
            == "/marked"
    );
    refused(
        &daemon.cli(&["compose", "-p", "shop", "--dry-run", "commit", "web"])?,
        "--dry-run",
    )?;
    daemon.clean()
}

#[test]
fn containers_are_frozen_killed_and_waited_for() -> Result<()> {
    let daemon = daemon()?;
    let states = || -> Result<Vec<String>> {
        let shown = shop(&daemon, &["ps", "-a", "--format", "{{.Name}} {{.State}}"])?;
        Ok(shown.ok()?.lines().map(str::to_owned).collect())
    };
    made("job", 1).run(
        &daemon,
        &[],
        "trap 'exit 6' USR1; while :; do sleep 0.1; done",
    )?;
    let paused = shop(&daemon, &["pause", "web"])?;
    ensure!(
        paused.stderr.contains(" Container shop-web-1  Paused\n"),
        "{paused:?}"
    );
    ensure!(
        states()?
            == [
                "shop-job-1 running",
                "shop-web-1 paused",
                "shop-web-2 paused"
            ]
    );
    let told = daemon.cli(&["compose", "-p", "shop", "--progress", "json", "unpause"])?;
    let line = told.stderr.lines().find(|line| line.contains("Unpaused"));
    let line: serde_json::Value = serde_json::from_str(line.unwrap_or_default())?;
    ensure!(
        line["status"] == "Done" && line["text"] == "Unpaused",
        "{told:?}"
    );
    ensure!(states()?.iter().all(|state| state.ends_with("running")));

    let mut waiting = daemon.cli_process(&["compose", "-p", "shop", "wait", "job"])?;
    let planned = daemon.cli(&["compose", "-p", "shop", "--dry-run", "kill", "job"])?;
    ensure!(
        planned.ok()? == "Container shop-job-1  Killing",
        "{planned:?}"
    );
    let quiet = [
        "--progress",
        "quiet",
        "--parallel",
        "1",
        "kill",
        "-s",
        "USR1",
        "job",
    ];
    let quiet = daemon.cli(&[&["compose", "-p", "shop"], &quiet[..]].concat())?;
    ensure!(
        quiet.ok()?.is_empty() && quiet.stderr.is_empty(),
        "{quiet:?}"
    );
    waiting.expect("container \"shop-job-1\" exited with status code 6\n")?;
    ensure!(waiting.wait()?.code == 6);
    // Orphans are spared unless they are asked for.
    write(
        &daemon,
        "shop/compose.yaml",
        "services: {job: {image: busybox}}\n",
    )?;
    let none = compose_in(&daemon, "shop", &["kill"])?;
    ensure!(
        none.code == 0 && none.stderr.contains("no container to kill"),
        "{none:?}"
    );
    compose_in(&daemon, "shop", &["kill", "--remove-orphans"])?.ok()?;
    let killed = || -> Result<bool> { Ok(states()?.iter().all(|state| state.ends_with("exited"))) };
    ensure!(killed()?, "{:?}", states()?);
    made("last", 1).run(&daemon, &[], "exit 5")?;
    let last = shop(&daemon, &["wait", "--down-project", "last"])?;
    ensure!(last.code == 5 && states()?.is_empty(), "{last:?}");
    refused(
        &shop(&daemon, &["kill", "--remove-orphans"])?,
        "name them with -f",
    )?;
    refused(&shop(&daemon, &["wait", "nope"])?, "no such service: nope")?;
    daemon.clean()
}

#[test]
fn a_terminal_s_streams_are_attached() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let echo = "while read line; do echo \"got $line\"; [ $line = end ] && exit 4; done";
    made("web", 1).run(&daemon, &["-i"], echo)?;
    let one = ["compose", "-p", "shop", "attach", "--index", "1", "web"];
    let mut attached = daemon.cli_process(&one)?;
    attached.write("hello\n")?;
    attached.expect("got hello\n")?;
    attached.write("end\n")?;
    attached.expect("got end\n")?;
    let output = attached.wait()?;
    ensure!(output.code == 4, "{output:?}");
    made("web", 2).run(&daemon, &["-i"], "while :; do echo tick; sleep 0.1; done")?;
    let flags = ["--no-stdin", "--sig-proxy=false", "--detach-keys", "ctrl-x"];
    let attach = [&["compose", "-p", "shop", "attach"], &flags[..], &["web"]].concat();
    let mut deaf = daemon.cli_process(&attach)?;
    deaf.expect("tick\n")?;
    daemon.cli(&["kill", "shop-web-2"])?.ok()?;
    let output = deaf.wait()?;
    ensure!(output.code == 137, "{output:?}");
    daemon.clean()
}
