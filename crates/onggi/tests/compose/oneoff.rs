//! `compose run`.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Output, Process};

use crate::{compose_in, refused, write};

const FILE: &str = "name: shop
services:
  web:
    image: busybox
    command: echo from the file
    environment: {A: file, B: kept}
    ports: ['127.0.0.1:8090:80']
    depends_on: [db]
  db:
    image: busybox
    command: sleep 1000000
    stop_signal: SIGKILL
";

fn shop() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    write(&daemon, "shop/compose.yaml", FILE)?;
    Ok(daemon)
}

fn run(daemon: &Daemon, arguments: &[&str]) -> Result<Output> {
    compose_in(daemon, "shop", &[&["run"], arguments].concat())
}

fn down(daemon: Daemon) -> Result<()> {
    let orphans = ["down", "-t", "0", "--remove-orphans"];
    compose_in(&daemon, "shop", &orphans)?.ok()?;
    for id in daemon.cli(&["ps", "-aq"])?.ok()?.lines() {
        daemon.cli(&["rm", "-f", id])?.ok()?;
    }
    compose_in(&daemon, "shop", &orphans)?.ok()?;
    daemon.clean()
}

#[test]
fn one_command_in_a_container_of_its_own() -> Result<()> {
    let daemon = shop()?;
    let plain = run(&daemon, &["--rm", "web"])?;
    ensure!(plain.ok()? == "from the file", "{plain:?}");
    ensure!(compose_in(&daemon, "shop", &["ps", "--services"])?.ok()? == "db");
    let code = run(
        &daemon,
        &[
            "--rm",
            "--no-deps",
            "-T",
            "web",
            "sh",
            "-c",
            "echo err >&2; exit 9",
        ],
    )?;
    ensure!(code.code == 9 && code.stderr.ends_with("err\n"), "{code:?}");
    let quiet = run(
        &daemon,
        &["--rm", "--quiet", "--no-deps", "web", "sh", "-c", "exit 0"],
    )?;
    ensure!(
        quiet.ok()?.is_empty() && quiet.stderr.is_empty(),
        "{quiet:?}"
    );
    let variables = write(&daemon, "vars", "C=file\nA=overruled\n")?;
    let script = "echo $A $B $C $(pwd) $(id -u)";
    let flags = [
        "--rm",
        "--no-deps",
        "--env-from-file",
        &variables,
        "-e",
        "A=flag",
        "-w",
        "/tmp",
        "-u",
        "1000",
    ];
    let inside = run(
        &daemon,
        &[&flags[..], &["web", "sh", "-c", script]].concat(),
    )?;
    ensure!(inside.ok()? == "flag kept file /tmp 1000", "{inside:?}");
    let entry = run(
        &daemon,
        &[
            "--rm",
            "--no-deps",
            "--entrypoint",
            "echo 'two words'",
            "web",
            "more",
        ],
    )?;
    ensure!(entry.ok()? == "two words more", "{entry:?}");
    let typed = daemon.cli_with_input(
        &[
            "compose",
            "-f",
            &daemon.path("shop/compose.yaml").display().to_string(),
            "run",
            "--rm",
            "--no-deps",
            "web",
            "cat",
        ],
        b"typed",
    )?;
    ensure!(typed.ok()? == "typed", "{typed:?}");
    let closed = daemon.cli_with_input(
        &[
            "compose",
            "-f",
            &daemon.path("shop/compose.yaml").display().to_string(),
            "run",
            "--rm",
            "--no-deps",
            "--interactive=false",
            "web",
            "cat",
        ],
        b"typed",
    )?;
    ensure!(closed.ok()?.is_empty(), "{closed:?}");
    let rights = "grep CapEff /proc/self/status";
    let right = |flags: &[&str]| -> Result<String> {
        let all = [&["--rm", "--no-deps"], flags, &["web", "sh", "-c", rights]].concat();
        Ok(run(&daemon, &all)?.ok()?.to_owned())
    };
    let usual = right(&[])?;
    ensure!(
        right(&["--cap-add", "SYS_TIME"])? != usual && right(&["--cap-drop", "CHOWN"])? != usual
    );
    refused(&run(&daemon, &["nope"])?, "no such service: nope")?;
    refused(
        &run(&daemon, &["-P", "-p", "1:1", "web"])?,
        "are incompatible",
    )?;
    refused(
        &compose_in(&daemon, "shop", &["--dry-run", "run", "web"])?,
        "--dry-run",
    )?;
    refused(
        &run(&daemon, &["--pull", "odd", "web"])?,
        "invalid --pull option",
    )?;
    down(daemon)
}

#[test]
fn it_is_made_as_the_flags_say() -> Result<()> {
    let daemon = shop()?;
    std::fs::create_dir_all(daemon.path("shop/own"))?;
    let flags = [
        "-d",
        "--name",
        "named",
        "-l",
        "x=y",
        "-v",
        "./own:/own",
        "-v",
        "loose:/loose",
        "-p",
        "127.0.0.1:8091:81",
        "--use-aliases",
        "--pull",
        "never",
        "--quiet-pull",
        "--quiet-build",
        "--remove-orphans",
    ];
    let id = run(
        &daemon,
        &[&flags[..], &["web", "sleep", "1000000"]].concat(),
    )?;
    let found = daemon.get("/containers/named/json")?.ok()?.json()?;
    ensure!(found["Id"] == id.ok()?, "{id:?}");
    let labels = &found["Config"]["Labels"];
    ensure!(
        labels["x"] == "y" && labels["com.docker.compose.oneoff"] == "True",
        "{labels}"
    );
    let mounts = found["Mounts"].as_array().context("Mounts")?;
    let own = daemon.path("shop/own").display().to_string();
    ensure!(
        mounts
            .iter()
            .any(|one| one["Source"] == own && one["Destination"] == "/own"),
        "{mounts:?}"
    );
    ensure!(
        mounts.iter().any(|one| one["Name"] == "loose"),
        "{mounts:?}"
    );
    let ports = &found["HostConfig"]["PortBindings"];
    ensure!(
        ports["81/tcp"][0]["HostPort"] == "8091" && ports.get("80/tcp").is_none(),
        "{ports}"
    );
    let aliases = found["NetworkSettings"]["Networks"]["shop_default"]["Aliases"].to_string();
    ensure!(aliases.contains("\"web\""), "{aliases}");
    daemon.cli(&["rm", "-f", "named"])?.ok()?;
    let served = run(
        &daemon,
        &[
            "-d",
            "--service-ports",
            "--name",
            "served",
            "web",
            "sleep",
            "1000000",
        ],
    )?;
    served.ok()?;
    let found = daemon.get("/containers/served/json")?.ok()?.json()?;
    ensure!(
        found["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"] == "8090",
        "{found}"
    );
    down(daemon)
}

#[test]
fn a_terminal_is_passed_on() -> Result<()> {
    let daemon = shop()?;
    // `script` gives it one.
    let arguments = ["compose", "run", "--rm", "--no-deps", "web", "tty"];
    let inner = daemon.cli_command(&arguments)?;
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &words.join(" "), "/dev/null"]);
    command.env("DOCKER_HOST", daemon.host());
    command.env("DOCKER_CONFIG", daemon.path("config"));
    command.current_dir(daemon.path("shop"));
    let mut process = Process::start(daemon.namespace(), &mut command)?;
    process.expect("/dev/pts/0")?;
    process.wait()?.ok()?;
    down(daemon)
}
