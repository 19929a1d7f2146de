//! Builds by the API of Docker's first builder, which every client and daemon speaks; and what our command line does with
//! the result, on whatever daemon.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, LIMIT, Registry, Subject, Terminal, wait_until};
use rustix::process::Signal;
use std::path::PathBuf;

use crate::everyday::ok;

/// A directory with these files.
fn context(daemon: &Daemon, name: &str, files: &[(&str, &str)]) -> Result<String> {
    let directory = daemon.path(name);
    for (file, text) in files {
        let path = directory.join(file);
        std::fs::create_dir_all(path.parent().context("a parent")?)?;
        std::fs::write(path, text)?;
    }
    Ok(directory.display().to_string())
}

/// Names below a directory.
fn below(directory: &PathBuf) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

pub(crate) fn a_directory_becomes_an_image(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    let dockerfile = "FROM busybox AS first\n\
        ARG WHO=nobody\n\
        ENV WHO=$WHO\n\
        COPY . /data/\n\
        RUN cat /data/deep/kept > /copy\n\
        CMD [\"cat\", \"/copy\"]\n\
        FROM first\n\
        CMD [\"echo\", \"second\"]\n";
    let place = context(
        daemon,
        "context",
        &[
            ("Dockerfile", dockerfile),
            (".dockerignore", "*.log\ndeep\n!deep/kept\n"),
            ("a.txt", "a"),
            ("b.log", "b"),
            ("deep/kept", "kept\n"),
            ("deep/gone", "gone\n"),
        ],
    )?;
    let file = daemon.path("iid").display().to_string();
    let id = ok(
        daemon,
        &[
            "build",
            "-q",
            "-t",
            "app:1",
            "-t",
            "app:2",
            "--build-arg",
            "WHO=me",
            "--label",
            "c=d",
            "--target",
            "first",
            "--iidfile",
            &file,
            &place,
        ],
    )?;
    ensure!(id.starts_with("sha256:"), "{id}");
    ensure!(std::fs::read_to_string(&file)?.trim() == id);
    for name in ["app:1", "app:2"] {
        ensure!(ok(daemon, &["inspect", "-f", "{{.Id}}", name])? == id);
    }
    let labels = ok(
        daemon,
        &["inspect", "-f", "{{json .Config.Labels}}", "app:1"],
    )?;
    ensure!(labels == r#"{"c":"d"}"#, "{labels}");
    ensure!(ok(daemon, &["run", "--rm", "app:1"])? == "kept");
    let seen = ok(
        daemon,
        &[
            "run",
            "--rm",
            "app:1",
            "sh",
            "-c",
            "cd /data; find . -type f | sort; echo $WHO",
        ],
    )?;
    ensure!(
        seen == "./.dockerignore\n./Dockerfile\n./a.txt\n./deep/kept\nme",
        "{seen}"
    );
    // Again it is the same; anew it is another one, as its history has other times.
    let again = [
        "build",
        "-q",
        "--build-arg",
        "WHO=me",
        "--label",
        "c=d",
        "--target",
        "first",
        &place,
    ];
    ensure!(ok(daemon, &again)? == id);
    let whole = ok(
        daemon,
        &[
            "build",
            "-q",
            "--no-cache",
            "--force-rm",
            "--rm=true",
            &place,
        ],
    )?;
    ensure!(ok(daemon, &["run", "--rm", &whole])? == "second");

    let read = ["build", "-q", "-"];
    let alone = daemon.cli_with_input(&read, b"FROM busybox\nCMD echo alone\n")?;
    ensure!(ok(daemon, &["run", "--rm", alone.ok()?])? == "alone");
    let read = ["build", "-q", "-f", "-", &place];
    let beside = daemon.cli_with_input(&read, b"FROM busybox\nCOPY . /x\nCMD ls -A /x\n")?;
    let seen = ok(daemon, &["run", "--rm", beside.ok()?])?;
    ensure!(seen.lines().any(|line| line == "a.txt"), "{seen}");
    ensure!(!seen.contains(".dockerfile."), "{seen}");
    let outside = context(
        daemon,
        "elsewhere",
        &[("D", "FROM busybox\nCOPY a.txt /\nCMD cat /a.txt\n")],
    )?;
    let packed = ok(
        daemon,
        &["build", "-q", "-f", &format!("{outside}/D"), &place],
    )?;
    ensure!(ok(daemon, &["run", "--rm", &packed])? == "a");
    let pruned = ok(daemon, &["builder", "prune", "-a", "-f"])?;
    ensure!(pruned.contains("Total reclaimed space: "), "{pruned}");
    ok(daemon, &["image", "prune", "-a", "-f"]).map(drop)
}

pub(crate) fn commands_run_with_what_the_flags_say(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    let dockerfile = "FROM busybox\n\
        RUN cp /etc/hosts /hosts; ulimit -n > /nofile; df -k /dev/shm > /shm; \
        ls /sys/class/net > /net; grep Cpus_allowed_list /proc/self/status > /cpus; \
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max > /memory; true\n\
        CMD cat /nofile /shm /net /cpus /memory /hosts\n";
    let place = context(daemon, "flags", &[("Dockerfile", dockerfile)])?;
    let id = ok(
        daemon,
        &[
            "build",
            "-q",
            "--add-host",
            "other:192.0.2.7",
            "--ulimit",
            "nofile=99:100",
            "--shm-size",
            "32m",
            "--network",
            "none",
            "--cpuset-cpus",
            "0",
            "-m",
            "64m",
            "--memory-swap",
            "64m",
            "--cpu-shares",
            "100",
            "--cpu-period",
            "100000",
            "--cpu-quota",
            "50000",
            &place,
        ],
    )?;
    let seen = ok(daemon, &["run", "--rm", &id])?;
    let lines: Vec<Vec<&str>> = seen
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let has = |wanted: &[&str]| {
        lines
            .iter()
            .any(|line| wanted.iter().all(|word| line.contains(word)))
    };
    for wanted in [
        &["99"][..],
        &["32768", "/dev/shm"],
        &["lo"],
        &["Cpus_allowed_list:", "0"],
        &["67108864"],
        &["192.0.2.7", "other"],
    ] {
        ensure!(has(wanted), "no {wanted:?} in {seen}");
    }
    ensure!(!has(&["eth0"]), "{seen}");
    Ok(())
}

pub(crate) fn what_fails_is_told(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    let file = daemon.path("old-iid");
    std::fs::write(&file, "sha256:old")?;
    let text = "FROM busybox\nRUN echo said; exit 3\n";
    let place = context(daemon, "fails", &[("Dockerfile", text), ("Empty", "")])?;
    let failed = daemon.cli(&["build", "--iidfile", &file.display().to_string(), &place])?;
    ensure!(failed.code != 0, "{failed:?}");
    ensure!(failed.stderr.contains("code: 3"), "{failed:?}");
    let all = format!("{}{}", failed.stdout, failed.stderr);
    ensure!(all.lines().any(|line| line.ends_with("said")), "{failed:?}");
    ensure!(!file.exists(), "the ID of another build is left");
    for (arguments, wanted) in [
        (
            vec!["build", "/no/such/place"],
            "path \"/no/such/place\" not found".to_owned(),
        ),
        (
            vec!["build", "-f", "/no/such/D", &place],
            "unable to evaluate symlinks in Dockerfile path: lstat /no: no such file or directory"
                .to_owned(),
        ),
        (
            vec!["build", "-f", "-", "-"],
            "invalid argument: can't use stdin for both build context and dockerfile".to_owned(),
        ),
        (
            vec!["build", "-t", "UPPER", &place],
            "repository name (library/UPPER) must be lowercase".to_owned(),
        ),
        (
            vec!["build", "--squash", &place],
            "\"--squash\" is only supported on a Docker daemon with experimental features enabled"
                .to_owned(),
        ),
    ] {
        let refused = daemon.cli(&arguments)?;
        ensure!(
            refused.code != 0 && refused.stderr.contains(&wanted),
            "{refused:?}"
        );
    }
    Ok(())
}

/// With our command line on this daemon.
fn with(subject: Subject, test: impl FnOnce(&Daemon) -> Result<()>) -> Result<()> {
    super::with(subject, Some(Client::Onggi), test)
}

fn results_go_where_they_are_asked_to(daemon: &Daemon) -> Result<()> {
    let registry = Registry::start(daemon.namespace(), 5000)?;
    daemon.load_busybox()?;
    let images = ok(daemon, &["images", "-q"])?;
    let text = "FROM scratch\nCOPY made /dir/made\n";
    let place = context(
        daemon,
        "results",
        &[("Dockerfile", text), ("made", "made\n")],
    )?;
    let path = |name: &str| daemon.path(name).display().to_string();

    ok(
        daemon,
        &["build", "--compress", "-o", &path("files"), &place],
    )?;
    ensure!(
        below(&daemon.path("files"))? == ["dir"],
        "{:?}",
        below(&daemon.path("files"))?
    );
    ensure!(std::fs::read_to_string(daemon.path("files/dir/made"))? == "made\n");
    ok(
        daemon,
        &[
            "build",
            "-o",
            &format!("type=tar,dest={}", path("files.tar")),
            &place,
        ],
    )?;
    let piped = daemon.cli(&["build", "-o", "-", &place])?;
    piped.ok()?;
    let tar = std::fs::read(daemon.path("files.tar"))?;
    let end = |bytes: &[u8]| bytes.windows(8).any(|window| window == b"dir/made");
    ensure!(end(&tar) && end(piped.stdout.as_bytes()));
    // dockerd's builder may leave the image of the first stage.
    if daemon.subject() == Subject::Onggi {
        let now = ok(daemon, &["images", "-q"])?;
        ensure!(now == images, "an image is left: {now}");
    }
    ensure!(
        ok(daemon, &["ps", "-aq"])?.is_empty(),
        "a container is left"
    );

    let archive = path("image.tar");
    let output = format!("type=docker,dest={archive}");
    ok(daemon, &["build", "-t", "saved:1", "-o", &output, &place])?;
    ok(daemon, &["rmi", "saved:1"])?;
    ok(daemon, &["load", "-i", &archive])?;
    ok(daemon, &["inspect", "saved:1"])?;

    let name = format!("{}/app:1", registry.address());
    let metadata = path("metadata");
    ok(
        daemon,
        &[
            "build",
            "--push",
            "--load",
            "-t",
            &name,
            "--metadata-file",
            &metadata,
            &place,
        ],
    )?;
    let metadata: serde_json::Value = serde_json::from_slice(&std::fs::read(metadata)?)?;
    let id = ok(daemon, &["inspect", "-f", "{{.Id}}", &name])?;
    ensure!(
        metadata["containerimage.config.digest"] == id.as_str(),
        "{metadata}"
    );
    ensure!(metadata["image.name"] == name.as_str(), "{metadata}");
    ok(daemon, &["rmi", &name])?;
    let pulled = ok(daemon, &["pull", &name])?;
    let digest = metadata["containerimage.digest"]
        .as_str()
        .context("a digest")?;
    ensure!(pulled.contains(digest), "{pulled} {metadata}");

    let refused = daemon.cli(&["build", "-o", "type=local,dest=/proc/no/such", &place])?;
    ensure!(
        refused.code == 1 && refused.stderr.contains("mkdir /proc/no"),
        "{refused:?}"
    );
    ensure!(
        ok(daemon, &["ps", "-aq"])?.is_empty(),
        "a container is left"
    );
    Ok(())
}

fn an_interrupted_build_ends_at_once(daemon: &Daemon) -> Result<()> {
    daemon.load_busybox()?;
    let text = "FROM busybox\nRUN echo begun; sleep 1000\n";
    let place = context(daemon, "slow", &[("Dockerfile", text)])?;
    // With those that ended: they go, too.
    let running = || -> Option<bool> {
        let all = daemon.get("/containers/json?all=1").ok()?.json().ok()?;
        Some(!all.as_array()?.is_empty())
    };
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let process = daemon.cli_process(&["build", &place])?;
        wait_until("the command to begin", LIMIT, || {
            running().filter(|running| *running)
        })?;
        process.signal(signal)?;
        let ended = process.wait()?;
        ensure!(ended.code == code, "{ended:?}");
        wait_until("the command to end", LIMIT, || {
            running().filter(|running| !*running)
        })?;
    }
    Ok(())
}

#[test]
fn results_go_where_they_are_asked_to_on_dockerd() -> Result<()> {
    with(Subject::Dockerd, results_go_where_they_are_asked_to)
}

#[test]
fn results_go_where_they_are_asked_to_on_onggid() -> Result<()> {
    with(Subject::Onggi, results_go_where_they_are_asked_to)
}

#[test]
fn an_interrupted_build_ends_at_once_on_dockerd() -> Result<()> {
    with(Subject::Dockerd, an_interrupted_build_ends_at_once)
}

#[test]
fn an_interrupted_build_ends_at_once_on_onggid() -> Result<()> {
    with(Subject::Onggi, an_interrupted_build_ends_at_once)
}

#[test]
fn what_is_beyond_docker_is_refused_by_dockerd() -> Result<()> {
    with(Subject::Dockerd, |daemon| {
        let place = context(
            daemon,
            "beyond",
            &[("Dockerfile", "FROM scratch\n"), ("s", "s")],
        )?;
        let secret = format!("id=s,src={place}/s");
        for arguments in [
            ["--secret", &secret],
            ["--build-context", "a=docker-image://b"],
            ["--no-cache-filter", "a"],
            ["--cache-to", "type=inline"],
            ["--cache-from", "type=registry,ref=a"],
            ["--progress", "rawjson"],
        ] {
            let refused = daemon.cli(&["build", arguments[0], arguments[1], &place])?;
            let is_told = refused.stderr.contains("needs onggi's own daemon");
            ensure!(refused.code == 1 && is_told, "{refused:?}");
        }
        Ok(())
    })
}

#[test]
fn steps_are_shown_in_every_look() -> Result<()> {
    with(Subject::Onggi, |daemon| {
        daemon.load_busybox()?;
        let text = "FROM busybox\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s\nCOPY --from=more m /m\nRUN cat /m\n";
        let place = context(
            daemon,
            "steps",
            &[("Dockerfile", text), ("secret", "12345")],
        )?;
        let more = context(daemon, "more", &[("m", "from the other context\n")])?;
        let secret = format!("id=s,src={place}/secret");
        let further = format!("more={more}");
        let build = |more: &[&str]| {
            let mut all = vec!["build", "--secret", &secret, "--build-context", &further];
            all.extend(more);
            all.push(&place);
            daemon.cli(&all)
        };
        let plain = build(&["--progress", "plain"])?;
        plain.ok()?;
        ensure!(plain.stdout.is_empty(), "{plain:?}");
        for wanted in [
            "[internal] load build context",
            " 5",
            "from the other context",
        ] {
            let is_there = |line: &str| line.starts_with('#') && line.ends_with(wanted);
            ensure!(
                plain.stderr.lines().any(is_there),
                "no {wanted} in {plain:?}"
            );
        }
        let raw = build(&["--progress=rawjson"])?;
        raw.ok()?;
        for line in raw.stderr.lines() {
            let document: serde_json::Value = serde_json::from_str(line)?;
            ensure!(document.is_object(), "{line}");
        }
        ensure!(raw.stderr.contains("\"cached\":true"), "{raw:?}");
        let anew = build(&["--no-cache-filter", "0", "--progress=plain"])?;
        anew.ok()?;
        let quiet = build(&["--progress=quiet"])?;
        ensure!(
            quiet.ok()?.starts_with("sha256:") && quiet.stderr.is_empty(),
            "{quiet:?}"
        );
        let arguments = [
            "build",
            "--secret",
            &secret,
            "--build-context",
            &further,
            "--no-cache",
            &place,
        ];
        let screen = Terminal::start(
            daemon.namespace(),
            &daemon.cli_command(&arguments)?,
            100,
            30,
        )?;
        screen.expect("FINISHED")?;
        ensure!(screen.wait()? == 0);
        Ok(())
    })
}

#[test]
fn a_dockerfile_is_checked_without_a_daemon() -> Result<()> {
    with(Subject::Dockerd, |daemon| {
        let place = context(
            daemon,
            "check",
            &[("Dockerfile", "FROM scratch AS Base\nCOPY a /\n")],
        )?;
        let found = daemon.cli(&["-H", "unix:///no/such/socket", "build", "--check", &place])?;
        ensure!(found.code == 1, "{found:?}");
        let first = "Check complete, 1 warning has been found!\n\nWARNING: StageNameCasing - ";
        ensure!(found.stdout.starts_with(first), "{found:?}");
        let read = ["build", "--call=check", "-"];
        let clean = daemon.cli_with_input(&read, b"FROM scratch\nCOPY a /\n")?;
        ensure!(
            clean.ok()? == "Check complete, no warnings found.",
            "{clean:?}"
        );
        Ok(())
    })
}
