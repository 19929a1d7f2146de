//! Containers and archives that want out: what is theirs stays theirs (S1, S8).

use crate::{daemon, put, sleeper};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, Layer};
use std::fs;
use std::time::{Duration, Instant};

/// How long the race is run.
fn length() -> Duration {
    match std::env::var_os("ONGGI_FULL") {
        Some(_) => Duration::from_secs(60),
        None => Duration::from_secs(3),
    }
}

/// A container swaps a directory for a link to `/` while files are copied in and out through it.
#[test]
fn a_directory_swapped_for_a_link_leads_nowhere() -> Result<()> {
    let daemon = daemon()?;
    let victim = daemon.path("victim");
    fs::create_dir(&victim)?;
    fs::write(victim.join("secret"), "of the host")?;
    let inside = victim.display().to_string();
    // What is asked for exists below the directory and, at the link's end, in the container too.
    let script = format!(
        "mkdir -p /w/d{inside} {inside}; echo of the container > /w/d{inside}/secret; \
         cp /w/d{inside}/secret {inside}/secret; \
         (while :; do mv /w/d /w/r; ln -s / /w/d; rm /w/d; mv /w/r /w/d; done) &"
    );
    sleeper(&daemon, "box1", &[], &script)?;
    let before = tree(&victim)?;
    let planted = Layer::new(&[
        Entry::File("planted".to_owned(), 0o644, b"planted".to_vec()),
        Entry::File("deep/er".to_owned(), 0o644, b"planted".to_vec()),
        Entry::File("secret".to_owned(), 0o644, b"of the container".to_vec()),
    ])?;
    let (mut read, mut written, mut missed) = (0, 0, 0);
    let end = Instant::now() + length();
    while Instant::now() < end {
        for path in [
            format!("/w/d{inside}/secret"),
            format!("/w/d{inside}"),
            format!("/w/d/{inside}/."),
        ] {
            let answer = daemon.get(&format!("/containers/box1/archive?path={path}"))?;
            match answer.status {
                200 => read += 1,
                400 | 404 => missed += 1,
                status => anyhow::bail!("{status}: {}", answer.text()),
            }
            ensure!(!answer.text().contains("of the host"), "read from the host");
        }
        for query in [
            format!("path=/w/d{inside}"),
            format!("path=/w/d/{inside}&noOverwriteDirNonDir=1"),
        ] {
            match put(&daemon, "box1", &query, planted.tar())?.status {
                200 => written += 1,
                _ => missed += 1,
            }
        }
        ensure!(tree(&victim)? == before, "written to the host");
    }
    // Both were tried, in earnest.
    ensure!(
        read > 20 && written > 10,
        "{read} read, {written} written, {missed} missed"
    );
    let out = daemon.path("out").display().to_string();
    let copied = daemon.cli(&["cp", &format!("box1:/w/d{inside}"), &out])?;
    ensure!(copied.code <= 1, "{copied:?}");
    ensure!(tree(&victim)? == before && daemon.get("/_ping")?.status == 200);
    daemon.clean()
}

fn tree(root: &std::path::Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        found.push((
            path.display().to_string(),
            fs::read_to_string(&path).unwrap_or_default(),
        ));
    }
    found.sort();
    Ok(found)
}

/// An entry for each way out that an archive can try.
fn escapes(victim: &str) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let file = |path: String| Entry::File(path, 0o644, b"escaped".to_vec());
    let link = |path: &str, target: String| Entry::Link(path.to_owned(), target);
    let up = "../".repeat(20);
    let tar = |entries: &[Entry]| Layer::new(entries).map(|layer| layer.tar().to_vec());
    Ok(vec![
        (
            "through an absolute link",
            tar(&[link("l", victim.to_owned()), file("l/a".to_owned())])?,
        ),
        (
            "through a relative link",
            tar(&[link("m", format!("{up}{victim}")), file("m/b".to_owned())])?,
        ),
        (
            "by a hard link through a link",
            tar(&[
                link("n", victim.to_owned()),
                Entry::HardLink("h".to_owned(), "n/secret".to_owned()),
                file("h".to_owned()),
            ])?,
        ),
        (
            "by way of the process's own links",
            tar(&[
                link("p", "/proc/self/root".to_owned()),
                file(format!("p{victim}/c")),
            ])?,
        ),
        (
            "by way of the working directory",
            tar(&[
                link("q", "/proc/self/cwd".to_owned()),
                file("q/d".to_owned()),
            ])?,
        ),
        (
            "into the kernel's files",
            tar(&[
                link("k", "/proc/sys".to_owned()),
                file("k/kernel/x".to_owned()),
            ])?,
        ),
    ])
}

#[test]
fn archives_do_not_lead_out() -> Result<()> {
    let daemon = daemon()?;
    let victim = daemon.path("victim");
    fs::create_dir(&victim)?;
    fs::write(victim.join("secret"), "of the host")?;
    let before = tree(&victim)?;
    sleeper(&daemon, "box1", &["--privileged"], "mkdir /in")?;
    daemon.cli(&["create", "--name", "box2", "busybox"])?.ok()?;
    let victim_path = victim.display().to_string();
    for (how, tar) in escapes(&victim_path)? {
        for (container, path) in [("box1", "/in"), ("box2", "/tmp")] {
            let status = put(&daemon, container, &format!("path={path}"), &tar)?.status;
            ensure!([200, 400, 500].contains(&status), "{how}: {status}");
            ensure!(
                tree(&victim)? == before,
                "{how}: {container} wrote to the host"
            );
        }
    }
    // Names with ".." are refused before anything is written.
    let mut header = vec![0; 1024];
    header[..13].copy_from_slice(b"../../../evil");
    for (at, text) in [
        (100, "0000644\0"),
        (108, "0000000\0"),
        (116, "0000000\0"),
        (124, "00000000000\0"),
        (136, "00000000000\0"),
        (257, "ustar\x0000"),
    ] {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    header[156] = b'0';
    header[148..156].fill(b' ');
    let sum: u32 = header[..512].iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.resize(2048, 0);
    let answer = put(&daemon, "box1", "path=/in", &header)?;
    ensure!(
        answer.status == 400 && answer.text().contains("leads out"),
        "{}",
        answer.text()
    );
    daemon.clean()
}

/// The kernel's file systems in a container are not files to copy: neither way.
#[test]
fn the_kernels_files_are_left_alone() -> Result<()> {
    let daemon = daemon()?;
    sleeper(
        &daemon,
        "box1",
        &["--privileged"],
        "ln -s /proc/sys/kernel /k; ln -s /sys/kernel /s",
    )?;
    let file = Layer::new(&[Entry::File(
        "core_pattern".to_owned(),
        0o644,
        b"|/evil".to_vec(),
    )])?;
    let before = fs::read("/proc/sys/kernel/core_pattern")?;
    for path in ["/k", "/s", "/proc", "/sys", "/proc/1", "/dev/pts"] {
        let answer = put(&daemon, "box1", &format!("path={path}"), file.tar())?;
        let refused = answer.status == 400 && answer.text().contains("shows the kernel");
        ensure!(refused, "{path}: {} {}", answer.status, answer.text());
    }
    ensure!(fs::read("/proc/sys/kernel/core_pattern")? == before);
    for path in ["/proc/1/environ", "/proc/kmsg", "/sys/kernel"] {
        let answer = daemon.get(&format!("/containers/box1/archive?path={path}"))?;
        ensure!(answer.status == 404, "{path}: {}", answer.status);
    }
    whole(&daemon)?;
    daemon.clean()
}

/// The whole of a running container can be read: nothing in it waits or fails.
fn whole(daemon: &Daemon) -> Result<()> {
    let out = daemon.path("whole").display().to_string();
    let output = daemon.cli(&["cp", "box1:/etc/.", &out])?;
    output.ok()?;
    let answer = daemon.get("/containers/box1/archive?path=/")?.ok()?;
    let list = crate::listing(&answer.body)?;
    let named = |name: &str| list.iter().any(|line| line.ends_with(name));
    ensure!(
        named(" /proc/") && named(" /sys/") && !named(" /proc/1/"),
        "{}",
        list.len()
    );
    let tail = answer.body.len().checked_sub(1024).context("an archive")?;
    ensure!(
        answer.body[tail..].iter().all(|byte| *byte == 0),
        "not whole"
    );
    Ok(())
}
