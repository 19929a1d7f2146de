//! A database that is being written to, saved and restored: with `volume export` and `import`, and with tar in a container
//! beside it. Debian's package from its mirrors: only with `ONGGI_FULL`.

use crate::{cli, is_dockerd};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// Debian with PostgreSQL as a tar, made once.
fn debian() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let tar = folder.join("bookworm-postgresql.tar");
    if tar.exists() {
        return Ok(tar);
    }
    std::fs::create_dir_all(folder)?;
    let root = tempfile::tempdir_in(folder)?;
    let unfinished = folder.join("bookworm-postgresql.unfinished");
    let run = |command: &mut Command| -> Result<()> {
        let output = command.output().with_context(|| format!("{command:?}"))?;
        ensure!(output.status.success(), "{command:?}: {output:?}");
        Ok(())
    };
    let include = "--include=postgresql-15,postgresql-client-15";
    run(Command::new("debootstrap")
        .args(["--variant=minbase", include, "bookworm"])
        .arg(root.path()))?;
    run(Command::new("tar")
        .arg("-cf")
        .arg(&unfinished)
        .arg("-C")
        .arg(root.path())
        .arg("."))?;
    std::fs::rename(unfinished, &tar)?;
    Ok(tar)
}

/// Starts a server on a volume with a database, and waits until it answers.
fn serve(daemon: &Daemon, name: &str, volume: &str) -> Result<()> {
    let bind = format!("{volume}:/data");
    let script = format!("exec {PROGRAMS}/postgres -D /data/db -k /tmp -c fsync=on");
    cli(
        daemon,
        &[
            "run",
            "-d",
            "--name",
            name,
            "-u",
            "postgres",
            "--network",
            "none",
            "-v",
            &bind,
            "postgresql",
            "sh",
            "-c",
            &script,
        ],
    )?;
    let ready = format!("{PROGRAMS}/pg_isready");
    wait_until("the server to answer", LIMIT, || {
        let output = daemon.cli(&["exec", name, &ready, "-h", "/tmp"]).ok()?;
        (output.code == 0).then_some(())
    })
    .with_context(|| {
        daemon
            .cli(&["logs", name])
            .map(|o| o.stderr)
            .unwrap_or_default()
    })
}

fn sql(daemon: &Daemon, name: &str, text: &str) -> Result<String> {
    let arguments = [
        "exec",
        "-u",
        "postgres",
        name,
        "psql",
        "-h",
        "/tmp",
        "-v",
        "ON_ERROR_STOP=1",
        "-Atqc",
        text,
    ];
    cli(daemon, &arguments)
}

fn rows(daemon: &Daemon, name: &str) -> Result<u64> {
    Ok(sql(daemon, name, "SELECT count(*) FROM rows")?.parse()?)
}

#[test]
fn a_live_database_is_saved_and_restored() -> Result<()> {
    if std::env::var_os("ONGGI_FULL").is_none() {
        eprintln!("skipped: ONGGI_FULL is not set, and this needs Debian's mirrors");
        return Ok(());
    }
    let daemon = Daemon::start()?;
    if is_dockerd(&daemon, "it has no export of volumes") {
        return Ok(());
    }
    let tar = debian()?;
    cli(
        &daemon,
        &["import", tar.to_str().context("a path")?, "postgresql"],
    )?;
    let script = format!(
        "mkdir -p /data/db && chown -R postgres /data && \
         exec su postgres -c '{PROGRAMS}/initdb --data-checksums --no-sync -D /data/db'"
    );
    cli(
        &daemon,
        &[
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            "live:/data",
            "postgresql",
            "sh",
            "-c",
            &script,
        ],
    )?;
    serve(&daemon, "live", "live")?;
    sql(
        &daemon,
        "live",
        "CREATE TABLE rows (id bigserial PRIMARY KEY, text text)",
    )?;
    // One transaction after the other, each on disk before the next.
    let write = "while :; do psql -h /tmp -qc \"INSERT INTO rows (text) SELECT repeat('x', 500) FROM generate_series(1, 100)\"; done";
    cli(
        &daemon,
        &["exec", "-d", "-u", "postgres", "live", "sh", "-c", write],
    )?;
    wait_until("rows", LIMIT, || {
        (rows(&daemon, "live").ok()? > 500).then_some(())
    })?;
    // Held for the moment of the copy, and never stopped: the copy is what a power cut would have left.
    let tar = daemon.path("live.tar");
    let known = rows(&daemon, "live")?;
    cli(&daemon, &["pause", "live"])?;
    cli(
        &daemon,
        &[
            "volume",
            "export",
            "-o",
            tar.to_str().context("a path")?,
            "live",
        ],
    )?;
    let classic = [
        "run",
        "--rm",
        "--network",
        "none",
        "--volumes-from",
        "live",
        "-v",
        "backup:/backup",
        "postgresql",
        "tar",
        "-cf",
        "/backup/live.tar",
        "-C",
        "/data",
        ".",
    ];
    cli(&daemon, &classic)?;
    cli(&daemon, &["unpause", "live"])?;
    wait_until("the writer to go on", LIMIT, || {
        (rows(&daemon, "live").ok()? > known).then_some(())
    })?;
    cli(
        &daemon,
        &[
            "volume",
            "import",
            "-i",
            tar.to_str().context("a path")?,
            "restored",
        ],
    )?;
    let unpack = [
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        "classic:/data",
        "-v",
        "backup:/backup:ro",
        "postgresql",
        "tar",
        "-xpf",
        "/backup/live.tar",
        "-C",
        "/data",
    ];
    cli(&daemon, &unpack)?;
    let mut counts = Vec::new();
    for volume in ["restored", "classic"] {
        // That of the server that was saved, which knows nothing of its end.
        cli(
            &daemon,
            &[
                "run",
                "--rm",
                "--network",
                "none",
                "-v",
                &format!("{volume}:/data"),
                "postgresql",
                "rm",
                "-f",
                "/data/db/postmaster.pid",
            ],
        )?;
        serve(&daemon, volume, volume)?;
        let count = rows(&daemon, volume)?;
        ensure!(
            count >= known && count % 100 == 0,
            "{volume}: {count} rows, {known} were known"
        );
        counts.push(count);
        sql(
            &daemon,
            volume,
            "INSERT INTO rows (text) VALUES ('written after it was restored')",
        )?;
        // Reads all of it, checksums too.
        let dump = format!("{PROGRAMS}/pg_dumpall -h /tmp > /dev/null");
        cli(
            &daemon,
            &["exec", "-u", "postgres", volume, "sh", "-c", &dump],
        )?;
        cli(&daemon, &["rm", "-f", volume])?;
    }
    ensure!(counts[0] == counts[1], "{counts:?}");
    cli(&daemon, &["rm", "-f", "live"])?;
    daemon.clean()
}
