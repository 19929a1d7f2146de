//! Images that are what Docker's own builder makes of the same Dockerfile: files, configuration, which instructions made
//! layers. Differences that are meant: see "Builds" in `docs/DIFFERENCES.md`.
//!
//! The first table is compared in every run, the others with `ONGGI_FULL`: Docker takes a second for each of them.

mod commands; // RUN
mod copies; // COPY, ADD
mod settings; // what an image starts
mod stages; // FROM, ONBUILD
mod variables; // ARG, ENV

use super::scene::{Build, inspect, tree};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Entry, Layer, Subject};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// What of a configuration is compared.
const FIELDS: &[&str] = &[
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];

/// What an engine puts into every container.
const ENGINES: &[&str] = &[
    "dev",
    "proc",
    "sys",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/mtab",
    ".dockerenv",
];

/// Dockerfiles, each `FROM busybox` in front unless it says so itself.
const CASES: &[&str] = &[
    "ENV A=1 B=\"two words\" C='$A'\nENV D $A and more\nENV E=${A:-x} F=${NONE:-y} G=${A:+z} H=\\$A",
    "ARG V=1\nENV W=$V\nRUN echo $V > /v",
    "LABEL a=b \"c d\"=\"e f\" g='h'\nLABEL a=c",
    "EXPOSE 80 443/tcp 53/udp\nEXPOSE 8000-8002",
    "VOLUME /a /b\nVOLUME [\"/c\", \"/d e\"]",
    "USER 1000:1000\nUSER www",
    "WORKDIR /a\nWORKDIR b\nWORKDIR ../c/./d\nWORKDIR /e",
    "CMD echo $HOME",
    "CMD [\"echo\", \"$HOME\"]",
    "ENTRYPOINT [\"/bin/echo\"]\nCMD [\"a\"]",
    "CMD [\"a\"]\nENTRYPOINT [\"/bin/echo\"]",
    "ENTRYPOINT echo hi",
    "SHELL [\"/bin/busybox\", \"sh\", \"-c\"]\nRUN echo a > /a\nCMD echo b",
    "HEALTHCHECK --interval=5s --timeout=3s --retries=2 CMD true || false",
    "HEALTHCHECK CMD [\"true\"]\nHEALTHCHECK NONE",
    "STOPSIGNAL SIGINT",
    "STOPSIGNAL 9",
    "MAINTAINER somebody <a@b>",
    "ONBUILD RUN echo x\nONBUILD COPY . /app",
    "COPY . /all",
    "COPY . .\nWORKDIR /w\nCOPY . .",
    "COPY dir /d\nCOPY dir /e/\nCOPY dir/ /f",
    "COPY a.txt /x\nCOPY a.txt /y/\nCOPY a.txt /z/name",
    "COPY a.txt b.txt /many/\nCOPY *.txt /glob/\nCOPY ?.txt /one/\nCOPY d*/s* /deep/",
    "COPY [\"a.txt\", \"with space\", \"/s p/\"]",
    "RUN mkdir -p /etc && echo www:x:33:34::/:/bin/sh > /etc/passwd && echo www:x:34: > /etc/group\nCOPY --chown=5:6 dir /d\nCOPY --chown=www a.txt /w\nCOPY --chown=7 a.txt /n",
    "RUN mkdir /real && ln -s /real /link\nCOPY a.txt /link/\nCOPY dir /link",
    "RUN mkdir -m 700 /p\nCOPY a.txt /p/q/r/a",
    "COPY link /l\nCOPY dir/inner /i",
    "COPY exec /bin/exec\nRUN stat -c %a /bin/exec > /mode",
    "ADD arch.tar /un\nADD arch.tar.gz /gz/\nADD a.txt /a/",
    "RUN echo a > /a && rm -r /home\nRUN test ! -e /home && mkdir /home",
    "RUN echo a > /f && chmod 600 /f && chown 3:4 /f\nRUN ln /f /g && ln -s f /h",
    "RUN mkdir /d && echo 1 > /d/1\nRUN rm -r /d && mkdir /d && echo 2 > /d/2",
    "RUN mkdir -p /etc && echo www:x:33:34::/:/bin/sh > /etc/passwd && echo www:x:34: > /etc/group\nUSER www\nRUN id -un > /tmp/u; pwd > /tmp/p",
    "ENV PATH=/x:$PATH\nRUN echo $PATH > /p",
    "run echo lower > /l\nfrom busybox\nrun echo last > /last",
    "FROM busybox AS one\nRUN echo 1 > /1\nFROM busybox\nCOPY --from=one /1 /one\nCOPY --from=0 /1 /zero\nCOPY --from=busybox /bin/sh /sh",
    "ARG BASE=busybox\nFROM ${BASE}:latest\nARG BASE\nRUN echo \"$BASE\" > /b",
    "FROM scratch\nCOPY a.txt /\nLABEL x=y",
    "# escape=`\nFROM busybox\nRUN echo a `\n  b > /ab",
    "RUN echo one \\\n# a comment\n\n  two > /t",
];

/// A Dockerfile of a table: `#!base` before lines of an image `base` that is built first, `#!query` before a parameter.
fn read(case: &str) -> (String, String, Vec<(&str, &str)>) {
    let (mut base, mut dockerfile, mut query) = (String::new(), String::new(), Vec::new());
    for line in case.split_inclusive('\n') {
        if let Some(line) = line.strip_prefix("#!base ") {
            base.push_str(line);
        } else if let Some(line) = line.strip_prefix("#!query ") {
            query.extend(line.trim_end().split_once('='));
        } else {
            dockerfile.push_str(line);
        }
    }
    let is_from = |line: &str| {
        let line = line.trim_start_matches('\u{feff}');
        line.starts_with("FROM ") || line.starts_with("from ")
    };
    if case.starts_with("run") || !dockerfile.lines().any(is_from) {
        dockerfile.insert_str(0, "FROM busybox\n");
    }
    (base, dockerfile, query)
}

/// The context of all of them.
fn context(dockerfile: &str, name: &str) -> Result<Build> {
    let file =
        |path: &str, mode: u32, content: Vec<u8>| Entry::File(path.to_owned(), mode, content);
    let inner = Layer::new(&[file("in/file", 0o640, b"in\n".to_vec())])?;
    let links = Layer::new(&[
        Entry::Directory("d".into(), 0o700),
        file("d/f", 0o644, b"f\n".to_vec()),
        Entry::Link("d/l".into(), "f".into()),
        Entry::Link("up".into(), "../../etc".into()),
        Entry::HardLink("hard".into(), "d/f".into()),
    ])?;
    let alone = Layer::from_tar(b"not a tar\n".to_vec());
    Ok(Build::default()
        .file(name, &format!("{dockerfile}\n"))
        .file("a.txt", "a\n")
        .file("b.txt", "b\n")
        .file("with space", "s\n")
        .entry(file("exec", 0o755, b"x".to_vec()))
        .entry(Entry::Link("link".into(), "a.txt".into()))
        .entry(Entry::Directory("dir".into(), 0o750))
        .file("dir/c", "c\n")
        .entry(Entry::Link("dir/inner".into(), "c".into()))
        .file("dir/sub/d", "d\n")
        .entry(Entry::Directory("empty".into(), 0o755))
        .entry(Entry::HardLink("hard".into(), "a.txt".into()))
        .entry(file("arch.tar", 0o644, inner.tar().to_vec()))
        .entry(file("arch.tar.gz", 0o644, inner.gzip()?))
        .entry(file("disguised", 0o644, inner.tar().to_vec()))
        .entry(file("deep/arch.tar", 0o644, inner.tar().to_vec()))
        .entry(file("links.tar", 0o644, links.tar().to_vec()))
        .entry(file("one.gz", 0o644, alone.gzip()?))
        .file("fake.tar", "not a tar\n"))
}

/// Builds a case, its base before it.
fn build(daemon: &Daemon, case: &str) -> Result<String> {
    let (base, dockerfile, query) = read(case);
    if !base.is_empty() {
        context(&base, "Dockerfile")?
            .set("t", "base")
            .image(daemon)
            .context("the base")?;
    }
    let named = query.iter().find(|(key, _)| *key == "dockerfile");
    let mut build = context(&dockerfile, named.map_or("Dockerfile", |(_, name)| name))?;
    if named.is_some() {
        build = build.file("Dockerfile", "not this one\n");
    }
    for (key, value) in query {
        build = build.set(key, value);
    }
    build.image(daemon)
}

/// Which entries of an image's history have no layer.
fn empty(daemon: &Daemon, id: &str) -> Result<Vec<bool>> {
    let answer = daemon.get(&format!("/images/{id}/get"))?.ok()?;
    let wanted = id.trim_start_matches("sha256:");
    let mut archive = tar::Archive::new(answer.body.as_slice());
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.path()?.to_string_lossy().contains(wanted) {
            continue;
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        let config: Value = serde_json::from_slice(&text)?;
        let history = config["history"].as_array().context("no history")?;
        let is_empty = |entry: &Value| entry["empty_layer"].as_bool().unwrap_or(false);
        return Ok(history.iter().map(is_empty).collect());
    }
    anyhow::bail!("no configuration in the archive of {id}")
}

/// What is compared of an image.
fn seen(daemon: &Daemon, id: &str) -> Result<(Value, BTreeMap<String, String>)> {
    let image = inspect(daemon, id)?;
    let mut config = json!({});
    for field in FIELDS {
        let value = &image["Config"][field];
        let is_empty = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !is_empty {
            config[field] = value.clone();
        }
    }
    config["Author"] = image["Author"].as_str().unwrap_or_default().into();
    config["empty"] = json!(empty(daemon, id)?);
    let mut files = BTreeMap::new();
    for (path, seen) in tree(daemon, id)? {
        let parts: Vec<&str> = path.split('/').collect();
        if ENGINES.contains(&path.as_str()) || ENGINES.contains(&parts[0]) || path.is_empty() {
            continue;
        }
        let content =
            String::from_utf8_lossy(&seen.content[..seen.content.len().min(200)]).into_owned();
        let (user, group) = seen.owner;
        files.insert(
            path,
            format!(
                "{} {:o} {user}:{group} {} {content}",
                seen.kind, seen.mode, seen.link
            ),
        );
    }
    Ok((config, files))
}

/// Builds all of a table with both, and compares.
fn compare(cases: &[&str]) -> Result<()> {
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("dockerd: skipped, it is not installed");
        return Ok(());
    }
    let start = |subject| -> Result<Daemon> {
        let daemon = Daemon::start_with(DaemonOptions {
            subject: Some(subject),
            ..DaemonOptions::default()
        })?;
        daemon.load_busybox()?;
        Ok(daemon)
    };
    let (ours, theirs) = (start(Subject::Onggi)?, start(Subject::Dockerd)?);
    let mut different = Vec::new();
    for case in cases {
        let of = |daemon: &Daemon| -> Result<_> {
            let mut seen = seen(daemon, &build(daemon, case)?)?;
            if case.contains("#!query labels=") {
                // Labels of the client are entries of Docker's history; they are none of BuildKit's and ours.
                seen.0["empty"].take();
            }
            Ok(seen)
        };
        let (ours, theirs) = match (of(&ours), of(&theirs)) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(error), _) => {
                different.push(format!("{case}\n  not built: {error:#}"));
                continue;
            }
            (_, Err(error)) => {
                different.push(format!("{case}\n  dockerd: {error:#}"));
                continue;
            }
        };
        if ours.0 != theirs.0 {
            different.push(format!(
                "{case}\n  ours   {}\n  theirs {}",
                ours.0, theirs.0
            ));
        }
        let paths: BTreeSet<_> = ours.1.keys().chain(theirs.1.keys()).collect();
        for path in paths {
            let (one, other) = (ours.1.get(path), theirs.1.get(path));
            if one != other {
                different.push(format!(
                    "{case}\n  {path}\n  ours   {one:?}\n  theirs {other:?}"
                ));
            }
        }
    }
    ensure!(different.is_empty(), "{}", different.join("\n"));
    Ok(())
}

/// The same, only in the full tier.
fn compare_all(cases: &[&str]) -> Result<()> {
    if std::env::var_os("ONGGI_FULL").is_none() {
        eprintln!("skipped: ONGGI_FULL is not set, and Docker takes minutes for these");
        return Ok(());
    }
    compare(cases)
}

#[test]
fn images_are_those_of_dockers_builder() -> Result<()> {
    compare(CASES)
}

#[test]
fn settings_are_those_of_dockers_builder() -> Result<()> {
    compare_all(settings::CASES)
}

#[test]
fn variables_are_those_of_dockers_builder() -> Result<()> {
    compare_all(variables::CASES)
}

#[test]
fn what_commands_change_is_what_docker_keeps() -> Result<()> {
    compare_all(commands::CASES)
}

#[test]
fn copies_are_those_of_dockers_builder() -> Result<()> {
    compare_all(copies::CASES)
}

#[test]
fn stages_are_those_of_dockers_builder() -> Result<()> {
    compare_all(stages::CASES)
}
