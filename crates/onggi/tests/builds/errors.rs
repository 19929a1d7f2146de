//! What people are told when a build cannot be done.

use super::scene::Build;
use anyhow::{Result, ensure};
use onggi_testkit::Daemon;

/// A Dockerfile, and what is said of it.
struct Row(&'static str, &'static str);

const ROWS: &[Row] = &[
    Row("", "The Dockerfile (Dockerfile) cannot be empty"),
    Row("# nothing\n", "file with no instructions"),
    Row(
        "FROM busybox\nRUNN x\n",
        "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
    ),
    Row("RUN x\n", "no build stage in current context"),
    Row(
        "FROM busybox AS a\nCOPY --from=b x y\nFROM a AS b\n",
        "circular dependency detected on stage",
    ),
    Row(
        "FROM busybox\nRUN exit 7\n",
        "The command '/bin/sh -c exit 7' returned a non-zero code: 7",
    ),
    Row("FROM busybox\nRUN [\"/none\"]\n", "/none"),
    Row("FROM busybox\nCOPY none /\n", "\"/none\": not found"),
    Row(
        "FROM busybox\nCOPY --chown=nobody-here f /\n",
        "nobody-here",
    ),
    Row("FROM busybox\nUSER nobody-here\nRUN true\n", "nobody-here"),
    Row("FROM busybox\nEXPOSE x\n", "invalid containerPort: x"),
    Row(
        "FROM busybox\nRUN --mount=type=secret,id=s,required=true true\n",
        "secret s: not found",
    ),
    Row(
        "FROM busybox\nRUN --mount=type=nonsense true\n",
        "unsupported mount type \"nonsense\"",
    ),
    Row("FROM none.invalid/x\n", "none.invalid"),
];

#[test]
fn what_cannot_be_built_is_told_with_its_reason() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    for Row(dockerfile, expected) in ROWS {
        let built = Build::of(dockerfile).file("f", "f").send(&daemon)?;
        let error = built.error.clone().unwrap_or_default();
        ensure!(error.contains(expected), "{dockerfile}: {built:?}");
    }
    let left = daemon.get("/containers/json?all=1")?.ok()?.json()?;
    ensure!(left.as_array().is_some_and(Vec::is_empty), "{left}");
    let check = daemon.get("/system/check")?.ok()?.text();
    ensure!(
        check.contains("\"Problems\":null")
            || check.contains("\"Problems\":[]")
            || !check.contains("Problems"),
        "{check}"
    );
    Ok(())
}

#[test]
fn what_cannot_be_had_is_refused() -> Result<()> {
    let daemon = Daemon::start()?;
    let rows = [
        ("version", "2", "DOCKER_BUILDKIT=0"),
        (
            "squash",
            "1",
            "squash is only supported with experimental mode",
        ),
        ("isolation", "hyperv", "isolation"),
        ("securityopt", "x", "security options"),
        ("buildargs", "{", "buildargs"),
        ("t", "UPPER", "must be lowercase"),
        ("platform", "a/b/c/d", "a/b/c/d"),
    ];
    for (key, value, expected) in rows {
        let built = Build::of("FROM scratch\n").set(key, value).send(&daemon)?;
        let error = built.error.clone().unwrap_or_default();
        ensure!(error.contains(expected), "{key}={value}: {built:?}");
    }
    Ok(())
}
