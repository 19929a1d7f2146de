//! `compose watch`.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, Process};
use rustix::process::Signal;

use crate::{compose_in, refused, write};

const FILE: &str = "name: shop
services:
  web:
    build: {context: ./image}
    command: sleep 1000000
    stop_signal: SIGKILL
    develop:
      watch:
        - {path: ./src, action: sync, target: /src, ignore: [skipped/], initial_sync: true}
        - {path: ./conf, action: sync+restart, target: /conf}
        - {path: ./hook, action: sync+exec, target: /hook, exec: {command: cp /hook/x /ran}}
        - {path: ./kick, action: restart}
        - {path: ./image, action: rebuild}
";

struct Watched {
    daemon: Daemon,
    process: Process,
}

impl Watched {
    fn start(flags: &[&str]) -> Result<Self> {
        let daemon = Daemon::start()?;
        daemon.load_busybox()?;
        write(&daemon, "shop/compose.yaml", FILE)?;
        write(
            &daemon,
            "shop/image/Dockerfile",
            "FROM busybox\nCOPY mark /mark\n",
        )?;
        write(&daemon, "shop/image/mark", "one")?;
        for name in ["src/first", "conf/x", "hook/x", "kick/x"] {
            write(&daemon, &format!("shop/{name}"), "old")?;
        }
        if flags.contains(&"--no-up") {
            compose_in(&daemon, "shop", &["up", "-d", "--quiet-build"])?.ok()?;
        }
        let mut command = daemon.cli_command(&[&["compose", "watch"], flags].concat())?;
        command.current_dir(daemon.path("shop"));
        let mut process = Process::start(daemon.namespace(), &mut command)?;
        process.expect("Watch enabled\n")?;
        Ok(Self { daemon, process })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        write(&self.daemon, &format!("shop/{name}"), text).map(drop)
    }

    /// Until a command in the container succeeds.
    fn until(&self, script: &str) -> Result<()> {
        onggi_testkit::wait_until(script, std::time::Duration::from_secs(60), || {
            let inside = ["exec", "shop-web-1", "sh", "-c", script];
            let output = self.daemon.cli(&inside).ok()?;
            (output.code == 0).then_some(())
        })
    }

    fn started(&self) -> Result<String> {
        let found = self
            .daemon
            .get("/containers/shop-web-1/json")?
            .ok()?
            .json()?;
        Ok(found["State"]["StartedAt"].to_string())
    }

    fn stop(self) -> Result<()> {
        self.process.signal(Signal::INT)?;
        let output = self.process.wait()?;
        ensure!(output.code == 130, "{output:?}");
        compose_in(&self.daemon, "shop", &["down", "-t", "0"])?.ok()?;
        self.daemon.clean()
    }
}

#[test]
fn files_follow_into_the_containers() -> Result<()> {
    let mut watched = Watched::start(&["--quiet"])?;
    watched.until("grep -q old /src/first")?;
    watched.write("src/first", "new")?;
    watched.until("grep -q new /src/first")?;
    watched.write("src/deep/down/file", "deep")?;
    watched.until("grep -q deep /src/deep/down/file")?;
    watched.write("src/skipped/file", "no")?;
    std::fs::remove_dir_all(watched.daemon.path("shop/src/deep"))?;
    watched.until("[ ! -e /src/deep ] && [ ! -e /src/skipped ]")?;
    watched.write("hook/x", "hooked")?;
    watched.until("grep -q hooked /ran")?;
    let before = watched.started()?;
    watched.write("conf/x", "configured")?;
    watched.process.expect("service \"web\" restarted\n")?;
    watched.until("grep -q configured /conf/x")?;
    let restarted = watched.started()?;
    ensure!(restarted != before);
    watched.write("kick/x", "kicked")?;
    onggi_testkit::wait_until("a restart", std::time::Duration::from_secs(60), || {
        let started = watched.started().ok()?;
        (started != restarted).then_some(())
    })?;
    watched.stop()
}

#[test]
fn services_are_built_anew() -> Result<()> {
    let mut watched = Watched::start(&["--no-up", "--prune=false"])?;
    watched.write("image/mark", "two")?;
    watched
        .process
        .expect("service \"web\" successfully built\n")?;
    watched.until("grep -q two /mark")?;
    let none = write(
        &watched.daemon,
        "none/compose.yaml",
        "services: {a: {image: busybox}}\n",
    )?;
    let output = watched.daemon.cli(&["compose", "-f", &none, "watch"])?;
    refused(
        &output,
        "none of the selected services is configured for watch",
    )?;
    watched.stop()
}
