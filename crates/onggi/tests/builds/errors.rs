//! What people are told when a build cannot be done.

use super::scene::Build;
use anyhow::{Context, Result, ensure};
use onggi_testkit::Daemon;

/// Dockerfiles, each with what is said of it behind `=> `.
const RECORDED: &str = include_str!("errors.txt");

/// What is wrong with a file as a whole.
const OF_NO_LINE: [&str; 1] = ["file with no instructions"];

/// Words by which a text itself shows the way out.
const SHOWS: [&str; 4] = ["did you mean", "say by ", "; use ", "; leave "];

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
        // To those who draw steps the lines themselves are shown.
        let drawn = build.set("progress", "1").send(&daemon)?;
        if let Err(wrong) = has_place(&error, &drawn.error.unwrap_or_default()) {
            different.push(format!("{dockerfile}=> {wrong:#}"));
        }
        count += 1;
    }
    ensure!(different.is_empty(), "{}", different.join("\n\n"));
    ensure!(count > 60, "{count}");
    let left = daemon.get("/containers/json?all=1")?.ok()?.json()?;
    ensure!(left.as_array().is_some_and(Vec::is_empty), "{left}");
    let check = daemon.cli(&["system", "check"])?;
    ensure!(check.code == 0, "{}{}", check.stdout, check.stderr);
    Ok(())
}

/// Whether an error says file, line and what to do, to those who read lines and to those who draw steps.
fn has_place(lines: &str, drawn: &str) -> Result<()> {
    // SDKs compare Docker's words for a command's exit, all of them.
    if lines.starts_with("The command '") {
        let told = drawn.contains(" | >>> ") && drawn.trim_end().ends_with(')');
        ensure!(told, "{drawn}");
        return Ok(());
    }
    let (said, place) = lines.rsplit_once(" (Dockerfile").context("no file")?;
    let place = place.trim_end_matches(')');
    let is_shown = SHOWS.iter().any(|words| said.contains(words));
    let (line, way_out) = match place.strip_prefix(":").unwrap_or(place).split_once(": ") {
        Some((line, way_out)) => (line, Some(way_out)),
        None => (place.trim_start_matches(':'), None),
    };
    if OF_NO_LINE.iter().any(|text| said.starts_with(text)) {
        return Ok(());
    }
    let line: usize = line
        .parse()
        .with_context(|| format!("no line in {lines:?}"))?;
    ensure!(is_shown != way_out.is_some(), "no way out, or two: {lines}");
    let head = format!("Dockerfile:{line}\n--------------------\n");
    ensure!(drawn.contains(&head), "{drawn}");
    let marked = drawn.contains(&format!(" {line:3} | >>> "));
    ensure!(marked && drawn.contains("failed to solve: "), "{drawn}");
    let shows = way_out.is_none_or(|way_out| drawn.contains(way_out));
    ensure!(shows, "{drawn}");
    Ok(())
}

#[test]
fn our_client_shows_the_lines_and_the_way_out() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let rows = [
        (
            "COPY list.tx /",
            "failed to compute cache key: failed to calculate checksum of context: \"/list.tx\": not found (did you mean /list.txt?)",
        ),
        (
            "RUN exit 7",
            "process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7 (its output says why)",
        ),
        (
            "ENV A",
            "ENV must have two arguments (write ENV NAME=VALUE)",
        ),
    ];
    let place = daemon.path("context");
    std::fs::create_dir(&place)?;
    std::fs::write(place.join("list.txt"), "l")?;
    let place = place.display().to_string();
    for (line, reason) in rows {
        let dockerfile = format!("FROM busybox\n{line}\n");
        std::fs::write(format!("{place}/Context.Dockerfile"), dockerfile)?;
        let arguments = ["build", "--progress=plain", "-f"];
        let file = format!("{place}/Context.Dockerfile");
        let built = daemon.cli(&[&arguments[..], &[&file, &place]].concat())?;
        let said = built.stderr.trim_end();
        let marked = format!(
            "Context.Dockerfile:2\n--------------------\n   1 |     FROM busybox\n   2 | >>> {line}\n   3 |     \n--------------------\n"
        );
        let is_told =
            said.contains(&marked) && said.ends_with(&format!("failed to solve: {reason}"));
        ensure!(built.code != 0 && is_told, "{said}");
    }
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
