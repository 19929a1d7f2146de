//! S19: a web server of Flask and a database of PostgreSQL, the Compose file of a user byte for byte, packages of Debian's
//! and PyPI's inside. With our Compose on our engine and on Docker's, and with Docker's of before (1.29) on our engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Output, Outside, Process, Subject};

use crate::builds::packages::{PYTHON, built, debian};
use crate::scene::{Cli, Scene, folder, words};

const POSTGRES: &str = "\
FROM debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-15
COPY docker-entrypoint.sh /usr/local/bin/
RUN chmod 755 /usr/local/bin/docker-entrypoint.sh
ENV PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT [\"docker-entrypoint.sh\"]
CMD [\"postgres\"]
";
const FILES: &[(&str, &str)] = &[
    (
        "docker-compose.yml",
        include_str!("application/docker-compose.yml"),
    ),
    (
        "Dockerfile",
        include_str!("builds/users/flask-postgres/Dockerfile"),
    ),
    ("app.py", include_str!("application/app.py")),
    ("requirements.txt", "flask==3.0.3\npsycopg2-binary==2.9.9\n"),
];
/// Where the web server is published.
const PAGE: &str = "127.0.0.1:5000";

/// Who is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compose {
    /// `onggi compose`
    Ours,
    /// Debian's `docker-compose`
    Old,
}

/// An engine with the images that the application stands on.
struct Stage {
    scene: Scene,
    here: PathBuf,
}

impl Stage {
    fn open(outside: &Outside, subject: Subject) -> Result<Self> {
        let daemon = Daemon::start_with(DaemonOptions {
            subject: Some(subject),
            client: Some(Client::Onggi),
            namespace: Some(outside.namespace().try_clone()?),
            ..DaemonOptions::default()
        })?;
        let scene = Scene {
            daemon,
            cli: Cli::Onggi,
        };
        scene.ok(&format!("import {} debian:bookworm", debian()?.display()))?;
        let made = folder(&scene, "stand-ins")?;
        fs::copy(
            "/etc/ssl/certs/ca-certificates.crt",
            made.join("ca-certificates.crt"),
        )?;
        fs::write(
            made.join("docker-entrypoint.sh"),
            include_str!("application/docker-entrypoint.sh"),
        )?;
        for (name, dockerfile) in [("python:3.9", PYTHON), ("postgres:13", POSTGRES)] {
            fs::write(made.join("Dockerfile"), dockerfile)?;
            built(&scene, &format!("-t {name} {}", made.display()))?;
        }
        let here = folder(&scene, "visits")?;
        for (name, text) in FILES {
            fs::write(here.join(name), text)?;
        }
        Ok(Self { scene, here })
    }

    /// Types a line of Compose in the folder of the project.
    fn typed(&self, compose: Compose, line: &str) -> Result<Output> {
        let words = words(line)?;
        let daemon = &self.scene.daemon;
        let mut command = match compose {
            Compose::Ours => daemon.cli_command(&["compose"])?,
            Compose::Old => {
                let mut command = std::process::Command::new("docker-compose");
                command.env("DOCKER_HOST", daemon.host());
                command
            }
        };
        command.args(words).current_dir(&self.here);
        command
            .env("HOME", self.scene.daemon.path("home"))
            .stdin(Stdio::null());
        Process::start(daemon.namespace(), &mut command)?.wait()
    }

    fn ok(&self, compose: Compose, line: &str) -> Result<String> {
        let output = self.typed(compose, line)?;
        ensure!(output.code == 0, "{compose:?} {line}: {output:?}");
        Ok(output.stdout)
    }

    /// What the services wrote, to either stream.
    fn logs(&self, compose: Compose) -> Result<String> {
        let output = self.typed(compose, "logs --no-color")?;
        ensure!(output.code == 0, "{output:?}");
        Ok(output.stdout + &output.stderr)
    }

    /// How many visits there were, this one too: it comes as soon as both services are there.
    fn counts(&self, visits: u32) -> Result<()> {
        self.scene.serves(PAGE, &visits.to_string())
    }

    fn containers(&self) -> Result<Vec<String>> {
        let said = self
            .scene
            .ok("ps -aq --no-trunc --filter label=com.docker.compose.project=visits")?;
        let mut all: Vec<String> = said.lines().map(str::to_owned).collect();
        all.sort_unstable();
        Ok(all)
    }

    /// The days of an application.
    fn play(&self, compose: Compose) -> Result<()> {
        let ok = |line: &str| self.ok(compose, line);
        ok("up -d")?;
        self.counts(1)?;
        self.counts(2)?;
        let ps = ok("ps")?;
        ensure!(
            ps.contains("web") && ps.contains("db") && ps.contains("5000->5000"),
            "{ps}"
        );
        let logs = self.logs(compose)?;
        ensure!(
            logs.contains("ready to accept connections") && logs.contains("GET / HTTP"),
            "{logs}"
        );
        let said = ok("exec -T web sh -c 'echo $DATABASE_URL'")?;
        ensure!(
            said.trim() == "postgresql://user:password@db:5432/mydatabase",
            "{said}"
        );
        let said = ok("run --rm -T web python -c 'print(6*7)'")?;
        ensure!(said.trim() == "42", "{said}");
        ok("stop")?;
        ensure!(self.scene.fetch(PAGE).is_err(), "it is stopped");
        ok("start")?;
        self.counts(3)?;
        ok("restart")?;
        self.counts(4)?;
        // Nothing has changed: nothing happens.
        let before = self.containers()?;
        ok("up -d")?;
        ensure!(self.containers()? == before, "containers were made anew");
        ok("build")?;
        ok("config")?;
        ok("down")?;
        ensure!(self.containers()?.is_empty(), "left behind");
        ok("up -d")?;
        self.counts(5)?;
        ok("down -v")?;
        ok("up -d")?;
        self.counts(1)?;
        ok("down -v")?;
        self.scene.lists("volume ls -q", &[])?;
        self.scene
            .lists("network ls --format {{.Name}}", &["bridge", "host", "none"])
    }
}

fn is_skipped() -> bool {
    if std::env::var_os("ONGGI_FULL").is_none() {
        eprintln!("skipped: ONGGI_FULL is not set, and this needs registries of packages");
        return true;
    }
    false
}

#[test]
fn an_application_lives_on_our_engine() -> Result<()> {
    if is_skipped() {
        return Ok(());
    }
    let outside = Outside::new()?;
    let stage = Stage::open(&outside, Subject::Onggi)?;
    stage.play(Compose::Ours)?;
    if !Path::new("/usr/bin/docker-compose").exists() {
        eprintln!("skipped: no docker-compose is installed");
        return stage.scene.daemon.clean();
    }
    stage.play(Compose::Old)?;
    // What the old one made is ours to see, to keep and to end.
    stage.ok(Compose::Old, "up -d")?;
    stage.counts(1)?;
    let ps = stage.ok(Compose::Ours, "ps --services")?;
    let mut services: Vec<&str> = ps.lines().collect();
    services.sort_unstable();
    ensure!(services == ["db", "web"], "{ps}");
    let logs = stage.logs(Compose::Ours)?;
    ensure!(logs.contains("ready to accept connections"), "{logs}");
    let before = stage.containers()?;
    let plan = stage.ok(Compose::Ours, "up -d --plan")?;
    stage.ok(Compose::Ours, "up -d")?;
    ensure!(
        stage.containers()? == before,
        "equal containers were made anew: {plan}"
    );
    let path = stage.here.join("docker-compose.yml");
    let text = fs::read_to_string(&path)?.replace(
        "environment:\n      - ",
        "environment:\n      - COLOUR=blue\n      - ",
    );
    fs::write(&path, text)?;
    let said = stage.typed(Compose::Ours, "up -d --plan")?;
    ensure!(said.stdout.contains("environment"), "{said:?}");
    stage.ok(Compose::Ours, "up -d")?;
    let after = stage.containers()?;
    let kept = after.iter().filter(|id| before.contains(id)).count();
    ensure!(
        (after.len(), kept) == (2, 1),
        "the database stays, the web server is another: {before:?} {after:?}"
    );
    stage.counts(2)?;
    stage.ok(Compose::Ours, "stop")?;
    stage.ok(Compose::Ours, "down -v")?;
    ensure!(stage.containers()?.is_empty(), "left behind");
    stage.scene.daemon.clean()
}

#[test]
fn an_application_lives_on_docker_s_engine() -> Result<()> {
    if is_skipped() {
        return Ok(());
    }
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("skipped: no dockerd is installed");
        return Ok(());
    }
    let outside = Outside::new()?;
    let stage = Stage::open(&outside, Subject::Dockerd)?;
    stage.play(Compose::Ours).context("on dockerd")?;
    stage.scene.daemon.clean()
}
