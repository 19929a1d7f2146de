//! What people do every day, with whatever client and daemon.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Image, LIMIT, LOGIN, Registry, Subject, Terminal, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Standard output of a command that has to succeed.
pub(crate) fn ok(daemon: &Daemon, arguments: &[&str]) -> Result<String> {
    let output = daemon.cli(arguments)?;
    output
        .ok()
        .map(str::to_owned)
        .with_context(|| arguments.join(" "))
}

fn terminal(daemon: &Daemon, arguments: &[&str]) -> Result<Terminal> {
    Terminal::start(daemon.namespace(), &daemon.cli_command(arguments)?, 80, 24)
}

fn is_running(daemon: &Daemon, name: &str) -> Result<bool> {
    Ok(ok(daemon, &["inspect", "-f", "{{.State.Running}}", name])? == "true")
}

fn wait_until_ended(daemon: &Daemon, name: &str) -> Result<()> {
    wait_until("the container to end", LIMIT, || {
        is_running(daemon, name)
            .is_ok_and(|running| !running)
            .then_some(())
    })
}

pub(crate) fn images_come_from_the_mirror_and_go(daemon: &Daemon) -> Result<()> {
    let registry = Registry::start(daemon.namespace(), 5000)?;
    let digest = registry.push(&Image::busybox()?, "library/busybox", "latest")?;
    let pulled = ok(daemon, &["pull", "busybox"])?;
    ensure!(
        pulled.starts_with("Using default tag: latest\n"),
        "{pulled}"
    );
    for line in [
        "latest: Pulling from library/busybox",
        &format!("Digest: {digest}"),
        "Status: Downloaded newer image for busybox:latest",
    ] {
        ensure!(pulled.lines().any(|l| l == line), "no {line:?} in {pulled}");
    }
    let again = ok(daemon, &["pull", "busybox"])?;
    ensure!(
        again.contains("Status: Image is up to date for busybox:latest"),
        "{again}"
    );
    let images = ok(daemon, &["images", "--format", "{{.Repository}}:{{.Tag}}"])?;
    ensure!(images == "busybox:latest", "{images}");
    ensure!(ok(daemon, &["run", "--rm", "busybox", "echo", "hello"])? == "hello");
    let left = ok(daemon, &["ps", "-aq"])?;
    ensure!(left.is_empty(), "{left}");
    let removed = ok(daemon, &["rmi", "busybox"])?;
    ensure!(
        removed.starts_with("Untagged: busybox:latest\n"),
        "{removed}"
    );
    ensure!(removed.contains("Deleted: sha256:"), "{removed}");
    ensure!(ok(daemon, &["images", "-q"])?.is_empty());
    // What is not there is pulled by run.
    let run = daemon.cli(&["run", "--rm", "busybox", "echo", "pulled"])?;
    ensure!(run.ok()? == "pulled", "{run:?}");
    ensure!(
        run.stderr
            .starts_with("Unable to find image 'busybox:latest' locally\n"),
        "{run:?}"
    );
    Ok(())
}

pub(crate) fn images_are_shared_by_those_who_may(daemon: &Daemon) -> Result<()> {
    let registry = Registry::start_locked(daemon.namespace(), 5000)?;
    let host = registry.address();
    daemon.load_busybox()?;
    ok(
        daemon,
        &[
            "run",
            "--name",
            "one",
            "busybox",
            "sh",
            "-c",
            "echo new > /file",
        ],
    )?;
    let name = format!("{host}/team/app");
    ok(daemon, &["commit", "one", &format!("{name}:v1")])?;
    ok(
        daemon,
        &["tag", &format!("{name}:v1"), &format!("{name}:v2")],
    )?;
    ok(daemon, &["rm", "one"])?;

    // Nobody, and somebody with the wrong password.
    let push = ["push", &format!("{name}:v1")];
    let refused = daemon.cli(&push)?;
    ensure!(
        refused.code == 1 && refused.stderr.contains("no basic auth credentials"),
        "{refused:?}"
    );
    let (user, password) = LOGIN;
    let login = ["login", "-u", user, "--password-stdin", &host];
    let wrong = daemon.cli_with_input(&login, b"guess\n")?;
    ensure!(
        wrong.code == 1 && wrong.stderr.contains("401 Unauthorized"),
        "{wrong:?}"
    );
    ensure!(daemon.cli(&push)?.code == 1);

    let good = daemon.cli_with_input(&login, format!("{password}\n").as_bytes())?;
    ensure!(
        good.code == 0
            && good.stdout.ends_with("Login Succeeded\n")
            && good
                .stderr
                .contains("credentials are stored unencrypted in"),
        "{good:?}"
    );
    let kept = std::fs::read_to_string(daemon.path("config/config.json"))?;
    ensure!(kept.contains(&host) && !kept.contains(password), "{kept}");
    let pushed = ok(daemon, &push)?;
    let first = format!("The push refers to repository [{name}]");
    ensure!(pushed.starts_with(&first), "{pushed}");
    ensure!(
        pushed.lines().any(|line| line.ends_with(": Pushed")),
        "{pushed}"
    );
    let line = pushed
        .lines()
        .find(|line| line.starts_with("v1: digest: sha256:"));
    let digest = line
        .and_then(|line| line.split_whitespace().nth(2))
        .with_context(|| format!("no digest in {pushed}"))?
        .to_owned();
    let again = ok(daemon, &["push", "-a", &name])?;
    ensure!(again.contains(": Layer already exists"), "{again}");
    for tag in ["v1", "v2"] {
        let line = format!("{tag}: digest: {digest} size: ");
        ensure!(again.contains(&line), "{again}");
    }
    let nothing = daemon.cli(&["push", &format!("{name}:v9")])?;
    ensure!(
        nothing.code == 1 && nothing.stderr.contains("tag does not exist"),
        "{nothing:?}"
    );

    // Somewhere else it is the same image.
    let id = ok(daemon, &["inspect", "-f", "{{.Id}}", &format!("{name}:v1")])?;
    ok(
        daemon,
        &["rmi", &format!("{name}:v1"), &format!("{name}:v2")],
    )?;
    ok(daemon, &["image", "prune", "-a", "-f"])?;
    ensure!(ok(daemon, &["images", "-q"])?.is_empty());
    ok(daemon, &["pull", &format!("{name}:v2")])?;
    ensure!(ok(daemon, &["inspect", "-f", "{{.Id}}", &format!("{name}:v2")])? == id);
    let run = ["run", "--rm", &format!("{name}@{digest}"), "cat", "/file"];
    ensure!(ok(daemon, &run)? == "new");

    let out = ok(daemon, &["logout", &host])?;
    ensure!(
        out == format!("Removing login credentials for {host}"),
        "{out}"
    );
    let kept = std::fs::read_to_string(daemon.path("config/config.json"))?;
    ensure!(!kept.contains(&host), "{kept}");
    ensure!(daemon.cli(&["pull", &format!("{name}:v1")])?.code == 1);
    Ok(())
}

pub(crate) fn images_go_into_archives_and_come_back(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    ok(
        daemon,
        &[
            "run",
            "--name",
            "one",
            "busybox",
            "sh",
            "-c",
            "echo new > /file",
        ],
    )?;
    ok(daemon, &["commit", "one", "app:v1"])?;
    ok(daemon, &["rm", "one"])?;
    let id = ok(daemon, &["inspect", "-f", "{{.Id}}", "app:v1"])?;
    let path = daemon.path("saved.tar");
    let file = path.to_str().context("a path in UTF-8")?;
    ok(daemon, &["save", "-o", file, "app:v1", "busybox"])?;
    ok(daemon, &["rmi", "app:v1", "busybox"])?;
    ensure!(ok(daemon, &["images", "-q"])?.is_empty());
    let loaded = ok(daemon, &["load", "-i", file])?;
    for line in ["Loaded image: app:v1", "Loaded image: busybox:latest"] {
        ensure!(loaded.lines().any(|l| l == line), "{loaded}");
    }
    ensure!(ok(daemon, &["inspect", "-f", "{{.Id}}", "app:v1"])? == id);
    ensure!(ok(daemon, &["run", "--rm", "app:v1", "cat", "/file"])? == "new");
    let missing = daemon.cli(&["save", "nothing:at-all"])?;
    ensure!(
        missing.code == 1
            && ["No such image: nothing:at-all", "reference does not exist"]
                .iter()
                .any(|text| missing.stderr.contains(text)),
        "{missing:?}"
    );
    // What was saved here and what others save is the same to both.
    let standard = daemon.cli_with_input(&["load"], &std::fs::read(&path)?)?;
    ensure!(
        standard.ok()?.contains("Loaded image: app:v1"),
        "{standard:?}"
    );
    Ok(())
}

pub(crate) fn streams_of_a_run(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    // More than all pipes on the way hold.
    let input = "0123456789abcde\n".repeat(64 * 1024);
    let output =
        daemon.cli_with_input(&["run", "-i", "--rm", "busybox", "cat"], input.as_bytes())?;
    ensure!(
        output.code == 0 && output.stderr.is_empty(),
        "{} {}",
        output.code,
        output.stderr
    );
    ensure!(
        output.stdout == input,
        "{} bytes of {}",
        output.stdout.len(),
        input.len()
    );
    let both = daemon.cli(&[
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 7",
    ])?;
    ensure!(
        (both.code, &*both.stdout, &*both.stderr) == (7, "out\n", "err\n"),
        "{both:?}"
    );
    Ok(())
}

pub(crate) fn a_terminal_follows_the_size_of_the_window(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    let terminal = terminal(daemon, &["run", "-it", "--rm", "busybox", "sh"])?;
    terminal.expect("#")?;
    // The first size may arrive after the prompt: ask until it is there.
    let size =
        "until [ \"$(stty size)\" = '24 80' ]; do usleep 10000; done; echo first $(stty size)";
    terminal.enter(size)?;
    terminal.expect("first 24 80")?;
    terminal.resize(100, 30)?;
    let size =
        "until [ \"$(stty size)\" = '30 100' ]; do usleep 10000; done; echo second $(stty size)";
    terminal.enter(size)?;
    terminal.expect("second 30 100")?;
    terminal.enter("tty; exit 3")?;
    terminal.expect("/dev/pts/0")?;
    ensure!(terminal.wait()? == 3, "{}", terminal.screen()?);
    wait_until("--rm", LIMIT, || {
        ok(daemon, &["ps", "-aq"]).ok()?.is_empty().then_some(())
    })
}

pub(crate) fn a_server_is_published_inspected_and_stopped(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    let script = "echo hello > /var/www/index.html; trap 'exit 5' TERM; httpd -p 80 -h /var/www; while :; do sleep 1 & wait; done";
    let id = ok(
        daemon,
        &[
            "run",
            "-d",
            "--name",
            "web",
            "-p",
            "127.0.0.1:8080:80",
            "busybox",
            "sh",
            "-c",
            script,
        ],
    )?;
    ensure!(id.len() == 64, "{id}");
    let fetch = || -> Result<String> {
        let connect = || TcpStream::connect(("127.0.0.1", 8080));
        let mut stream = daemon.namespace().run(connect)??;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    wait_until("the web server", LIMIT, || {
        fetch()
            .is_ok_and(|answer| answer.ends_with("\r\n\r\nhello\n"))
            .then_some(())
    })?;
    let row = ok(
        daemon,
        &[
            "ps",
            "--format",
            "{{.Names}} {{.Image}} {{.Ports}} {{.State}}",
        ],
    )?;
    ensure!(row == "web busybox 127.0.0.1:8080->80/tcp running", "{row}");
    let table = ok(daemon, &["ps"])?;
    ensure!(
        table.starts_with("CONTAINER ID   IMAGE     COMMAND"),
        "{table}"
    );
    ensure!(table.contains(&id[..12]), "{table}");
    let template = "{{.Name}} {{.Config.Image}} {{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}} {{json .State.Running}}";
    let told = ok(daemon, &["inspect", "-f", template, "web"])?;
    ensure!(told == "/web busybox 8080 true", "{told}");
    ensure!(ok(daemon, &["stop", "web"])? == "web");
    let code = ok(
        daemon,
        &[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.ExitCode}}",
            "web",
        ],
    )?;
    ensure!(code == "exited 5", "{code}");
    ensure!(fetch().is_err(), "the port is still open");
    ensure!(ok(daemon, &["rm", "web"])? == "web");
    let gone = daemon.cli(&["inspect", "web"])?;
    ensure!(gone.code == 1 && gone.stdout == "[]\n", "{gone:?}");
    let refused = daemon.cli(&["rm", "web"])?;
    ensure!(
        refused.code == 1 && refused.stderr.contains("No such container: web"),
        "{refused:?}"
    );
    Ok(())
}

pub(crate) fn logs_are_followed_to_the_end(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    let script =
        "echo before; until [ -e /more ]; do usleep 10000; done; echo after; echo aside >&2";
    ok(
        daemon,
        &[
            "run", "-d", "--name", "talker", "busybox", "sh", "-c", script,
        ],
    )?;
    let mut follower = daemon.cli_process(&["logs", "-f", "talker"])?;
    follower.expect("before\n")?;
    ok(daemon, &["exec", "talker", "touch", "/more"])?;
    let output = follower.wait()?;
    ensure!(
        (output.code, &*output.stdout, &*output.stderr) == (0, "before\nafter\n", "aside\n"),
        "{output:?}"
    );
    ensure!(ok(daemon, &["logs", "-n", "1", "talker"])?.lines().count() <= 1);
    let stamped = ok(daemon, &["logs", "-t", "talker"])?;
    let first = stamped.lines().next().unwrap_or_default();
    ensure!(
        first.ends_with("Z before") && first.starts_with("20"),
        "{stamped}"
    );
    Ok(())
}

pub(crate) fn exec_has_a_terminal(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    ok(
        daemon,
        &["run", "-d", "--name", "sleeper", "busybox", "sleep", "1000"],
    )?;
    let plain = daemon.cli_with_input(
        &["exec", "-i", "sleeper", "sh", "-c", "cat; exit 9"],
        b"through",
    )?;
    ensure!((plain.code, &*plain.stdout) == (9, "through"), "{plain:?}");
    let missing = daemon.cli(&["exec", "sleeper", "nothing-of-that-name"])?;
    // Docker 20.10 has one code for both; later ones tell what is not there from what cannot be executed.
    let wanted = if daemon.subject() == Subject::Dockerd {
        126
    } else {
        127
    };
    ensure!(missing.code == wanted, "{missing:?}");
    let terminal = terminal(
        daemon,
        &[
            "exec",
            "-it",
            "-e",
            "WORD=spoken",
            "-w",
            "/tmp",
            "sleeper",
            "sh",
        ],
    )?;
    terminal.expect("#")?;
    terminal.enter("echo $WORD in $(pwd) at $(tty)")?;
    terminal.expect("spoken in /tmp at /dev/pts/0")?;
    terminal.enter("exit 4")?;
    ensure!(terminal.wait()? == 4, "{}", terminal.screen()?);
    ensure!(is_running(daemon, "sleeper")?, "exec ended the container");
    Ok(())
}

pub(crate) fn detach_keys_leave_the_container_running(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    let started = terminal(daemon, &["run", "-it", "--name", "shell", "busybox", "sh"])?;
    started.expect("#")?;
    started.enter("kept=variable")?;
    started.expect("kept=variable")?;
    started.press(&["C-p", "C-q"])?;
    ensure!(started.wait()? == 0, "{}", started.screen()?);
    ensure!(is_running(daemon, "shell")?, "the container ended");
    let attached = terminal(daemon, &["attach", "shell"])?;
    attached.enter("echo still $kept")?;
    attached.expect("still variable")?;
    attached.press(&["C-p", "C-q"])?;
    attached.wait()?;
    ensure!(is_running(daemon, "shell")?, "the container ended");
    let last = terminal(daemon, &["attach", "shell"])?;
    last.enter("exit 6")?;
    ensure!(last.wait()? == 6, "{}", last.screen()?);
    wait_until_ended(daemon, "shell")
}
