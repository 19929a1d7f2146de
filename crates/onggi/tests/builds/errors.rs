//! What people are told when a build cannot be done.

use super::scene::Build;
use anyhow::{Context, Result, ensure};
use onggi_testkit::Daemon;

/// Dockerfiles, each with what is said of it behind `=> `.
const RECORDED: &str = include_str!("errors.txt");

#[test]
fn what_cannot_be_built_is_told_with_its_reason() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let (mut count, mut different) = (0, Vec::new());
    let rest = RECORDED.split_once("\n\n").map_or("", |(_, rest)| rest);
    for case in rest.split("\n\n") {
        let (dockerfile, expected) = case.split_once("=> ").context("a case without `=> `")?;
        let build = Build::of(dockerfile)
            .file("f", "f")
            .file("list.txt", "l")
            .file("dir/inner", "i");
        let error = build.send(&daemon)?.error.unwrap_or_default();
        if error.trim_end() != expected.trim_end() {
            different.push(format!("{dockerfile}=> {error}"));
        }
        count += 1;
    }
    ensure!(different.is_empty(), "{}", different.join("\n\n"));
    ensure!(count > 60, "{count}");
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
