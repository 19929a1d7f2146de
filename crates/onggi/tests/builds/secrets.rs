//! Secrets are seen by the command they are for and by nobody else: not in the image, its history, the cache, the
//! daemon's log, its events or its processes, whether the build succeeds, fails, is ended, or dies with its daemon.

use super::scene::Build;
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// No file and no text of this test has it in one piece.
fn secret() -> String {
    ["s3cr3t", "0f", "th3", "bu1ld"].join("-")
}

/// Commands that are given it, as a file and as a variable, and what they find.
const GIVEN: &str = "FROM busybox\n\
    RUN --mount=type=secret,id=key test $(wc -c < /run/secrets/key) = 19 && echo file-$((1+1)) && LAST\n\
    RUN --mount=type=secret,id=key,env=KEY test ${#KEY} = 19 && echo variable-$((1+1)) && LAST\n\
    RUN test ! -e /run/secrets/key && test -z \"$KEY\"\n";

/// What such a command says, and how it goes on then.
const SLOW: [(&str, &str); 2] = [
    ("file-2", "sleep 600"),
    ("variable-2", "if [ -n \"$KEY\" ]; then sleep 600; fi"),
];

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start_with(DaemonOptions {
        arguments: vec!["--debug".to_owned()],
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    Ok(daemon)
}

fn given(last: &str) -> Build {
    Build::of(&GIVEN.replace("LAST", last)).secret("key", &secret())
}

/// All that anybody can read of a daemon and these images has no secret in it. What is in memory while a command runs
/// is asked about when none does: then it is gone.
fn has_none(daemon: &Daemon, images: &[&str], when: &str) -> Result<()> {
    let mut all: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    all.insert("the log".to_owned(), daemon.log().into_bytes());
    let mut asked = vec![
        "/events?since=0&until=1".to_owned(),
        "/system/df".to_owned(),
        "/info".to_owned(),
        "/images/json?all=1".to_owned(),
        "/containers/json?all=1".to_owned(),
    ];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    asked[0] = format!("/events?since=0&until={}", now.as_secs() + 1);
    for image in images {
        for what in ["json", "history", "get"] {
            asked.push(format!("/images/{image}/{what}"));
        }
    }
    let containers = daemon.get("/containers/json?all=1")?.ok()?.json()?;
    for container in containers.as_array().into_iter().flatten() {
        let id = container["Id"].as_str().context("no Id")?;
        asked.push(format!("/containers/{id}/json"));
    }
    for path in asked {
        let answer = daemon.get(&path)?;
        all.insert(path, answer.body);
    }
    for pid in daemon.namespace().processes()? {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        // Those of containers are the ones it is for.
        if !name.starts_with("onggi") && !name.starts_with("memfd") {
            continue;
        }
        for what in ["environ", "cmdline"] {
            let path = format!("/proc/{pid}/{what}");
            // It may have ended meanwhile.
            all.insert(path.clone(), std::fs::read(path).unwrap_or_default());
        }
    }
    let is_idle = containers.as_array().is_some_and(Vec::is_empty);
    let below = match is_idle {
        true => daemon.path(""),
        false => daemon.data_root(),
    };
    let secret = secret();
    let has = |bytes: &[u8]| {
        bytes
            .windows(secret.len())
            .any(|it| it == secret.as_bytes())
    };
    for (name, bytes) in &all {
        ensure!(!has(bytes), "{when}: {name} has it");
        ensure!(!has(&unpacked(bytes)?), "{when}: {name} has it, compressed");
    }
    let found = Command::new("grep")
        .args(["-r", "-l", "-a", "-D", "skip", "-F", &secret])
        .arg(&below)
        .output()?;
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    ensure!(found.is_empty(), "{when}: {found}");
    for file in compressed(&below)? {
        let bytes = unpacked(&std::fs::read(&file)?)?;
        ensure!(
            !has(&bytes),
            "{when}: {} has it, compressed",
            file.display()
        );
    }
    Ok(())
}

/// What gzip has packed; of other things nothing.
fn unpacked(bytes: &[u8]) -> Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Vec::new());
    }
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut to, bytes) = (gzip.stdin.take().context("no input")?, bytes.to_vec());
    let writer = std::thread::spawn(move || to.write_all(&bytes));
    let mut plain = Vec::new();
    gzip.stdout
        .take()
        .context("no output")?
        .read_to_end(&mut plain)?;
    gzip.wait()?;
    // What is no archive after all takes no more.
    let _ = writer.join();
    Ok(plain)
}

/// Files that begin as gzip's do.
fn compressed(below: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![below.to_path_buf()];
    while let Some(directory) = open.pop() {
        // It may have gone meanwhile, as may what is in it.
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                let mut start = [0; 2];
                let file = std::fs::File::open(entry.path());
                let is_read = file.and_then(|mut file| file.read_exact(&mut start));
                if is_read.is_ok() && start == [0x1f, 0x8b] {
                    found.push(entry.path());
                }
            }
        }
    }
    Ok(found)
}

fn idle(daemon: &Daemon) -> Result<()> {
    wait_until("the container of the step to go", LIMIT, || {
        let all = daemon.get("/containers/json?all=1").ok()?.json().ok()?;
        all.as_array().filter(|all| all.is_empty()).map(drop)
    })
}

#[test]
fn a_build_that_succeeds_leaves_no_secret() -> Result<()> {
    let daemon = daemon()?;
    let lines = given("true").image(&daemon)?;
    let built = given("true").set("nocache", "1").set("progress", "1");
    let steps = built.image(&daemon)?;
    let inline = given("true").set("buildargs", r#"{"BUILDKIT_INLINE_CACHE":"1"}"#);
    let inline = inline.image(&daemon)?;
    has_none(&daemon, &[&lines, &steps, &inline], "afterwards")
}

#[test]
fn a_build_that_fails_tells_no_secret() -> Result<()> {
    let daemon = daemon()?;
    // The second command is reached where the first one succeeds.
    for (progress, last) in [("0", "exit 3"), ("1", "test -z \"$KEY\"")] {
        let built = given(last).set("progress", progress).send(&daemon)?;
        ensure!(built.code != 0, "{built:?}");
        ensure!(!format!("{built:?}").contains(&secret()), "{built:?}");
        has_none(&daemon, &[], "after a failure")?;
    }
    Ok(())
}

#[test]
fn a_build_that_is_ended_leaves_no_secret() -> Result<()> {
    let daemon = daemon()?;
    for (begun, last) in SLOW {
        let stream = given(last).begin(&daemon, begun)?;
        has_none(&daemon, &[], "while a command runs")?;
        drop(stream);
        idle(&daemon)?;
        has_none(&daemon, &[], "after a client that left")?;
    }
    Ok(())
}

#[test]
fn a_daemon_that_is_killed_leaves_no_secret() -> Result<()> {
    let mut daemon = daemon()?;
    for (begun, last) in SLOW {
        let stream = given(last).begin(&daemon, begun)?;
        daemon.kill()?;
        drop(stream);
        daemon.run()?;
        idle(&daemon)?;
        has_none(&daemon, &[], "after a daemon that was killed")?;
    }
    Ok(())
}

#[test]
fn our_own_client_passes_secrets_on_unseen() -> Result<()> {
    let daemon = daemon()?;
    let place = daemon.path("context");
    std::fs::create_dir(&place)?;
    std::fs::write(place.join("Dockerfile"), GIVEN.replace("LAST", "true"))?;
    let place = place.display().to_string();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), secret())?;
    let from_file = format!("id=key,src={}", file.path().display());
    for secret_flag in ["id=key,env=TOKEN", "type=env,id=key,env=TOKEN", &from_file] {
        let arguments = [
            "build",
            "--no-cache",
            "--progress=plain",
            "-t",
            "app",
            "--secret",
            secret_flag,
            &place,
        ];
        let mut command = daemon.cli_command(&arguments)?;
        let output = command.env("TOKEN", secret()).output()?;
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{secret_flag}: {said}");
        ensure!(!said.contains(&secret()), "{secret_flag}: {said}");
        has_none(&daemon, &["app"], secret_flag)?;
    }
    let inspected = daemon.get("/images/app/json")?.ok()?.json()?;
    ensure!(inspected["Config"]["Env"] != Value::Null, "{inspected}");
    Ok(())
}
