//! What a container changed: told by `diff`, taken along by `commit`, packed by `export`.

use crate::{both, daemon, everywhere, listing, sleeper};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Entry, Image, Layer, Subject};
use serde_json::Value;
use std::fs;

const CHANGES: &str = "rm /etc/group; echo a > /a; ln /a /b; mkdir /x; echo 1 > /x/1; ln -s a /link; \
    chmod 700 /tmp; mkdir -p /root/n/m; touch /var/www; chown 1:2 /home";

#[test]
fn diff_tells_what_docker_tells() -> Result<()> {
    both(|daemon| {
        let (host, file) = (daemon.path("host"), daemon.path("file"));
        fs::create_dir(&host)?;
        fs::write(&file, "")?;
        let (host, file) = (
            format!("{}:/bound", host.display()),
            format!("{}:/etc/bound:ro", file.display()),
        );
        sleeper(
            daemon,
            "box1",
            &["-v", &host, "-v", &file, "--tmpfs", "/run"],
            CHANGES,
        )?;
        let mut expected = vec![
            "A /a",
            "A /b",
            "A /bound",
            "C /etc",
            "A /etc/bound",
            "D /etc/group",
            "C /home",
            "A /link",
            "C /root",
            "A /root/n",
            "A /root/n/m",
            "A /run",
            "C /tmp",
            "A /x",
            "A /x/1",
        ];
        expected.sort_unstable();
        for round in ["running", "stopped"] {
            let output = daemon.cli(&["diff", "box1"])?;
            let mut found: Vec<&str> = output.ok()?.lines().collect();
            found.sort_unstable();
            ensure!(found == expected, "{round}: {found:?}");
            daemon.cli(&["kill", "box1"])?;
        }
        daemon
            .cli(&["create", "--name", "fresh", "busybox"])?
            .ok()?;
        ensure!(daemon.get("/containers/fresh/changes")?.text().trim() == "null");
        ensure!(daemon.get("/containers/nobody/changes")?.status == 404);
        Ok(())
    })
}

/// A directory that was removed and made again shows what is gone.
#[test]
fn diff_sees_through_replaced_directories() -> Result<()> {
    let daemon = daemon()?;
    sleeper(
        &daemon,
        "box1",
        &[],
        "rm -r /usr && mkdir /usr && echo > /usr/new; mv /var /war",
    )?;
    let output = daemon.cli(&["diff", "box1"])?;
    let found: Vec<&str> = output.ok()?.lines().collect();
    let expected = [
        "C /usr",
        "A /usr/new",
        "D /usr/bin",
        "D /var",
        "A /war",
        "A /war/www",
    ];
    ensure!(found == expected, "{found:?}");
    daemon.clean()
}

#[test]
fn export_is_the_root_without_mounts() -> Result<()> {
    everywhere(|daemon| {
        let host = daemon.path("host");
        fs::create_dir(&host)?;
        fs::write(host.join("secret"), "")?;
        let bind = format!("{}:/bound", host.display());
        sleeper(daemon, "box1", &["-v", &bind], CHANGES)?;
        let mut before: Option<Vec<String>> = None;
        for round in ["running", "stopped"] {
            let file = daemon.path(round).display().to_string();
            daemon.cli(&["export", "-o", &file, "box1"])?.ok()?;
            let list = listing(&fs::read(&file)?)?;
            for line in [
                "-rwxr-xr-x 0/0 0 .dockerenv",
                "-rw-r--r-- 0/0 2 a",
                "hrw-r--r-- 0/0 0 b link to a",
                "drwxr-xr-x 0/0 0 bound/",
                "drwxr-xr-x 0/0 0 proc/",
                "drwx------ 0/0 0 tmp/",
                "drwxr-xr-x 1/2 0 home/",
                "lrwxrwxrwx 0/0 0 link -> a",
            ] {
                ensure!(
                    list.iter().any(|found| found == line),
                    "{round}: no {line} in {list:#?}"
                );
            }
            for gone in ["etc/group", "bound/secret", "proc/self", "dev/null"] {
                let there = list
                    .iter()
                    .any(|line| line.split(' ').any(|word| word == gone));
                ensure!(!there, "{round}: {gone}");
            }
            ensure!(
                before.take().is_none_or(|before| before == list),
                "{round} differs"
            );
            before = Some(list);
            daemon.cli(&["kill", "box1"])?;
        }
        let output = daemon.cli(&["export", "-o", "/no/such/place", "box1"])?;
        let text = "failed to export container: invalid output path: stat /no/such: no such file or directory";
        ensure!(
            output.code == 1 && output.stderr.contains(text),
            "{output:?}"
        );
        Ok(())
    })
}

#[test]
fn commit_makes_an_image() -> Result<()> {
    everywhere(|daemon| {
        let flags = [
            "--env",
            "A=container",
            "--label",
            "k=v",
            "--workdir",
            "/tmp",
        ];
        sleeper(daemon, "box1", &flags, CHANGES)?;
        let changes = [
            "CMD [\"cat\",\"/a\"]",
            "ENTRYPOINT [\"env\"]",
            "ENV B=\"two words\" C=3",
            "EXPOSE 80 53/udp",
            "LABEL l=m",
            "ONBUILD RUN true",
            "USER nobody",
            "VOLUME /data",
            "WORKDIR sub",
            "HEALTHCHECK --interval=5s CMD true",
            "STOPSIGNAL SIGINT",
        ];
        let mut arguments = vec!["commit", "-a", "Ann", "-m", "a remark"];
        // dockerd 20.10 does not know the last one yet.
        let known = match daemon.subject() {
            Subject::Onggi => changes.len(),
            Subject::Dockerd => changes.len() - 1,
        };
        for change in &changes[..known] {
            arguments.extend(["-c", change]);
        }
        arguments.extend(["box1", "made:1"]);
        let output = daemon.cli(&arguments)?;
        let id = output.ok()?.to_owned();
        let image = inspect(daemon, "made:1")?;
        ensure!(
            image["Id"] == id.as_str() && image["RepoTags"][0] == "made:1",
            "{image}"
        );
        ensure!(
            image["Author"] == "Ann" && image["Comment"] == "a remark",
            "{image}"
        );
        let mut image = image;
        image.sort_all_objects();
        let config = &image["Config"];
        for (key, expected) in [
            ("Cmd", r#"["cat","/a"]"#),
            ("Entrypoint", r#"["env"]"#),
            ("ExposedPorts", r#"{"53/udp":{},"80/tcp":{}}"#),
            ("OnBuild", r#"["RUN true"]"#),
            ("User", r#""nobody""#),
            ("Volumes", r#"{"/data":{}}"#),
            ("WorkingDir", r#""/tmp/sub""#),
            ("StopSignal", r#""SIGINT""#),
            ("Labels", r#"{"k":"v","l":"m"}"#),
            (
                "Healthcheck",
                r#"{"Interval":5000000000,"Test":["CMD-SHELL","true"]}"#,
            ),
        ] {
            let known = key != "StopSignal" || daemon.subject() == Subject::Onggi;
            let found = config[key].to_string();
            let fits = !known || found == expected;
            ensure!(fits, "{key}: {}", config[key]);
        }
        let env = config["Env"].to_string();
        ensure!(
            env.contains("A=container") && env.contains("B=two words") && env.contains("C=3"),
            "{env}"
        );
        let layers = image["RootFS"]["Layers"]
            .as_array()
            .context("layers")?
            .len();
        ensure!(layers == 2, "{layers}");
        // The container was paused and goes on; its image has what it had, by name and by ID.
        ensure!(daemon.cli(&["exec", "box1", "echo", "alive"])?.ok()? == "alive");
        for name in ["made:1", &id] {
            let run = [
                "run",
                "--rm",
                "--network",
                "none",
                "--entrypoint",
                "sh",
                "-u",
                "0",
                name,
                "-c",
            ];
            let script = "cat /a /x/1; ls /etc/group 2>&1; readlink /link; stat -c '%a %h' /tmp /b; stat -c %u:%g /home";
            let output = daemon.cli(&[&run[..], &[script]].concat())?;
            let text = "a\n1\nls: /etc/group: No such file or directory\na\n700 2\n644 2\n1:2";
            let found = output.stdout.trim_end().replace("700 1\n", "700 2\n");
            ensure!(found == text, "{output:?}");
        }
        let history = daemon.get("/images/made:1/history")?.ok()?.json()?;
        let top = &history[0];
        ensure!(
            top["Comment"] == "a remark" && top["Id"] == id.as_str(),
            "{history}"
        );
        let by = top["CreatedBy"].as_str().context("CreatedBy")?;
        ensure!(by.starts_with("sh -c rm /etc/group;"), "{by}");
        ensure!(
            top["Size"].as_i64().is_some_and(|size| size > 0),
            "{history}"
        );
        refusals(daemon)
    })
}

fn refusals(daemon: &onggi_testkit::Daemon) -> Result<()> {
    let bad_name = if daemon.subject() == Subject::Dockerd {
        500
    } else {
        400
    };
    for (query, status, text) in [
        ("container=nobody", 404, "No such container: nobody"),
        (
            "container=box1&changes=RUN%20x",
            400,
            "run is not a valid change command",
        ),
        ("container=box1&repo=BAD", bad_name, "must be lowercase"),
        ("container=", 400, ""),
    ] {
        let answer = daemon.post(&format!("/commit?{query}"), &Value::Null)?;
        let fits = answer.status == status && answer.text().contains(text);
        ensure!(fits, "{query}: {} {}", answer.status, answer.text());
    }
    // Without changes there is no new layer.
    daemon
        .cli(&["create", "--name", "fresh", "busybox"])?
        .ok()?;
    daemon
        .cli(&["commit", "--pause=false", "fresh", "same"])?
        .ok()?;
    let layers = |image: &Value| image["RootFS"]["Layers"].clone();
    ensure!(layers(&inspect(daemon, "same")?) == layers(&inspect(daemon, "busybox")?));
    let history = daemon.get("/images/same/history")?.ok()?.json()?;
    ensure!(history[0]["Size"] == 0, "{history}");
    Ok(())
}

fn inspect(daemon: &onggi_testkit::Daemon, name: &str) -> Result<Value> {
    daemon.get(&format!("/images/{name}/json"))?.ok()?.json()
}

/// Removals of directories and their replacements are exact over several commits, and survive a restart.
#[test]
fn layers_are_exact() -> Result<()> {
    let mut daemon = daemon()?;
    let folder = |path: &str| Entry::Directory(path.to_owned(), 0o755);
    let file = |path: &str| Entry::File(path.to_owned(), 0o644, path.as_bytes().to_vec());
    let entries = [
        folder("d"),
        file("d/one"),
        folder("d/s"),
        file("d/s/two"),
        folder("e"),
        file("e/three"),
    ];
    let mut layers = Image::busybox()?.layers().to_vec();
    layers.push(Layer::new(&entries)?);
    daemon.load(&Image::new(layers), &["base:latest"])?;
    let mut image = "base".to_owned();
    for (number, script) in [
        "rm -r /d && mkdir /d && echo new > /d/new",
        "rm /e/three; mkdir /e/three; echo deep > /e/three/deep",
        "rm -r /e; echo file > /e; mkdir -p /d/s; echo again > /d/s/two",
    ]
    .iter()
    .enumerate()
    {
        let name = format!("step{number}");
        daemon
            .cli(&[
                "run",
                "--name",
                &name,
                "--network",
                "none",
                &image,
                "sh",
                "-c",
                script,
            ])?
            .ok()?;
        daemon.cli(&["commit", &name, &name])?.ok()?;
        image = name;
    }
    daemon.kill()?;
    daemon.run()?;
    let script = "cd /; find d e | sort; cat d/new e d/s/two";
    let output = daemon.cli(&[
        "run",
        "--rm",
        "--network",
        "none",
        &image,
        "sh",
        "-c",
        script,
    ])?;
    ensure!(
        output.ok()? == "d\nd/new\nd/s\nd/s/two\ne\nnew\nfile\nagain",
        "{output:?}"
    );
    daemon.clean()
}

/// A daemon that dies in the middle of a commit leaves a container that stands still; the next one lets it go on.
#[test]
fn a_commit_that_broke_off_leaves_nothing_frozen() -> Result<()> {
    let mut daemon = daemon()?;
    sleeper(&daemon, "box1", &[], "true")?;
    let inspect = daemon.get("/containers/box1/json")?.ok()?.json()?;
    let id = inspect["Id"].as_str().context("Id")?;
    let freezers = [
        (
            format!("/sys/fs/cgroup/freezer/onggi/{id}/freezer.state"),
            "FROZEN",
        ),
        (format!("/sys/fs/cgroup/onggi/{id}/cgroup.freeze"), "1"),
    ];
    let there = freezers
        .iter()
        .find(|(path, _)| fs::exists(path).unwrap_or(false));
    let (path, frozen) = there.context("a freezer")?;
    daemon.kill()?;
    fs::write(path, frozen)?;
    daemon.run()?;
    let seen = daemon.cli(&["exec", "box1", "echo", "alive"])?;
    ensure!(seen.ok()? == "alive", "{seen:?}");
    daemon.clean()
}
