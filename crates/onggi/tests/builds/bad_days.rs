//! Full disks, archives that mean harm, links that lead out, clients that go without a word: clear errors, nothing lost,
//! nothing left.

use super::scene::{Build, text, tree};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Entry, LIMIT, Process, patience, wait_until};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// A daemon with this much room.
fn small(size: &str) -> Result<Daemon> {
    let mut daemon = Daemon::start()?;
    daemon.stop()?;
    mount(&daemon, &format!("size={size}"))?;
    daemon.run()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

fn mount(daemon: &Daemon, options: &str) -> Result<()> {
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(daemon.data_root())
        .status()?;
    ensure!(status.success(), "mount {options}: {status}");
    Ok(())
}

/// Bytes that are taken of the disk.
fn taken(daemon: &Daemon) -> Result<u64> {
    let disk = rustix::fs::statvfs(daemon.data_root())?;
    Ok((disk.f_blocks - disk.f_bfree) * disk.f_frsize)
}

/// Waits until no more is taken than before, and something for what is written down of builds.
fn nothing_stays(daemon: &Daemon, before: u64) -> Result<()> {
    wait_until("the room to be free again", LIMIT, || {
        taken(daemon).ok().filter(|now| *now < before + (1 << 20))
    })?;
    let containers = daemon.get("/containers/json?all=1")?.ok()?.json()?;
    ensure!(
        containers.as_array().is_some_and(Vec::is_empty),
        "{containers}"
    );
    daemon.cli(&["system", "check"])?.ok().map(drop)
}

fn no_space(error: Option<String>) -> Result<()> {
    let error = error.context("it fits")?;
    let is_told = error.to_lowercase().contains("no space left on device");
    ensure!(is_told, "{error}");
    Ok(())
}

/// What the daemon answers, which may not take all that is sent.
fn sent(daemon: &Daemon, build: &Build) -> Result<String> {
    let mut stream = UnixStream::connect(daemon.socket())?;
    stream.set_read_timeout(Some(LIMIT * patience()))?;
    let (path, body) = (build.path(), build.body()?);
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    let mut writer = stream.try_clone()?;
    let writing = std::thread::spawn(move || drop(writer.write_all(&body)));
    let mut answer = Vec::new();
    // What was answered counts, however the connection ends.
    let _ = stream.read_to_end(&mut answer);
    ensure!(writing.join().is_ok());
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What does not become smaller.
fn noise(size: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn compressed(program: &str, bytes: usize) -> Result<Vec<u8>> {
    let script = format!("truncate -s {bytes} zeros && tar -cf - zeros | {program}");
    let place = tempfile::tempdir()?;
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{script}");
    Ok(output.stdout)
}

#[test]
fn a_disk_that_fills_up() -> Result<()> {
    let daemon = small("40m")?;
    let good = Build::of("FROM busybox\nRUN echo one > /one\n");
    good.image(&daemon)?;
    let before = taken(&daemon)?;
    let big = Entry::File("big".to_owned(), 0o644, noise(48 << 20)?);
    // While the context comes, in each way.
    let build = Build::of("FROM busybox\nCOPY big /big\n").entry(big.clone());
    no_space(Some(sent(&daemon, &build)?))?;
    nothing_stays(&daemon, before)?;
    no_space(build.bundle().send(&daemon)?.error)?;
    nothing_stays(&daemon, before)?;
    let place = tempfile::tempdir()?;
    std::fs::write(
        place.path().join("Dockerfile"),
        "FROM busybox\nCOPY big /big\n",
    )?;
    std::fs::write(place.path().join("big"), noise(48 << 20)?)?;
    let place = place.path().display().to_string();
    let said = daemon.cli(&["build", &place])?;
    ensure!(said.code != 0, "{said:?}");
    no_space(Some(said.stderr))?;
    nothing_stays(&daemon, before)?;
    // While a layer is made: by what a command writes, by its tar, by a copy.
    let made = "RUN head -c 50331648 /dev/urandom > /big";
    let built = Build::of(&format!("FROM busybox\n{made}\n")).send(&daemon)?;
    // The command says why, in its own words.
    ensure!(built.error.is_some() && built.code != 0, "{built:?}");
    nothing_stays(&daemon, before)?;
    let twice = "FROM busybox\nRUN head -c 16777216 /dev/urandom > /big\nRUN cp /big /again\n";
    let built = Build::of(twice).send(&daemon)?;
    ensure!(built.error.is_some(), "{built:?}");
    daemon.cli(&["builder", "prune", "-af"])?.ok()?;
    nothing_stays(&daemon, before)?;
    // What was there is there, and when there is room all is as ever.
    good.image(&daemon)?;
    mount(&daemon, "remount,size=300m")?;
    Build::of(twice).image(&daemon)?;
    Ok(())
}

#[test]
fn an_archive_that_means_harm() -> Result<()> {
    let daemon = small("60m")?;
    let before = taken(&daemon)?;
    // Many megabytes of zeros in one.
    let bomb = compressed("gzip -1", 256 << 20)?;
    ensure!(bomb.len() < 8 << 20, "{}", bomb.len());
    let bomb = Entry::File("bomb.tar.gz".to_owned(), 0o644, bomb);
    let build = Build::of("FROM busybox\nADD bomb.tar.gz /\n").entry(bomb.clone());
    no_space(build.send(&daemon)?.error)?;
    nothing_stays(&daemon, before)?;
    // As a file it is one.
    let build = Build::of("FROM busybox\nCOPY bomb.tar.gz /\n").entry(bomb.clone());
    build.image(&daemon)?;
    let build = Build::of("FROM busybox\nADD --unpack=false bomb.tar.gz /\n").entry(bomb);
    build.image(&daemon)?;
    // The context itself is not unpacked until somebody wants its files.
    let inner = Build::of("FROM busybox\nADD *.tar /x/\n").entry(Entry::File(
        "out.tar".to_owned(),
        0o644,
        out_of_it()?,
    ));
    let built = inner.send(&daemon)?;
    ensure!(!std::fs::exists("/onggi-escaped")?, "{built:?}");
    Ok(())
}

/// A tar with a link that leads out, and a name behind it.
fn out_of_it() -> Result<Vec<u8>> {
    let layer = onggi_testkit::Layer::new(&[
        Entry::Link("way".into(), "/".into()),
        Entry::File("way/onggi-escaped".into(), 0o644, b"x".to_vec()),
    ])?;
    Ok(layer.tar().to_vec())
}

#[test]
fn links_lead_nowhere_out_of_the_context() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let outside = tempfile::tempdir()?;
    std::fs::write(outside.path().join("key"), "the host's")?;
    let outside = outside.path().display().to_string();
    let links = [
        Entry::Link("file".into(), format!("{outside}/key")),
        Entry::Link("directory".into(), outside.clone()),
        Entry::Link("up".into(), "../../../../../../../../etc".into()),
    ];
    for (source, found) in [
        ("file", None),
        ("directory/key", None),
        ("up/hostname", None),
        (".", Some(())),
    ] {
        let file = format!("FROM busybox\nCOPY {source} /got/\n");
        for in_session in [false, true] {
            let mut build = Build::of(&file);
            for link in &links {
                build = build.entry(link.clone());
            }
            let build = if in_session { build.bundle() } else { build };
            let built = build.send(&daemon)?;
            let Some(()) = found else {
                let error = built.error.with_context(|| source.to_owned())?;
                ensure!(error.contains("not found"), "{source}: {error}");
                continue;
            };
            // Links are copied as links.
            let files = tree(&daemon, &built.id.context("an image")?)?;
            ensure!(files["got/file"].kind == 'l' && files["got/directory"].kind == 'l');
        }
    }
    // What our own client is told to send is no more than what it sees.
    let place = tempfile::tempdir()?;
    std::os::unix::fs::symlink(&outside, place.path().join("directory"))?;
    std::fs::write(
        place.path().join("Dockerfile"),
        "FROM busybox\nCOPY directory/key /\n",
    )?;
    let said = daemon.cli(&["build", &place.path().display().to_string()])?;
    ensure!(
        said.code != 0 && said.stderr.contains("\"/directory/key\": not found"),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn a_client_of_tcp_that_goes_ends_its_build() -> Result<()> {
    let host = "tcp://127.0.0.1:2375";
    let daemon = Daemon::start_with(DaemonOptions {
        arguments: ["-H", host, "--insecure-tcp"].map(str::to_owned).into(),
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    let place = tempfile::tempdir()?;
    let file = "FROM busybox\nRUN echo begun && sleep 600\n";
    std::fs::write(place.path().join("Dockerfile"), file)?;
    for (signal, flags) in [
        (Signal::KILL, "--progress=plain"),
        (Signal::INT, "--no-cache"),
    ] {
        let place = place.path().display().to_string();
        let mut command = daemon.cli_command(&["build", flags, &place])?;
        command.env("DOCKER_HOST", host);
        let client = Process::start(daemon.namespace(), &mut command)?;
        let count = |which: &str| -> Option<usize> {
            let all = daemon.get(&format!("/containers/json{which}"));
            all.ok()?.json().ok()?.as_array().map(Vec::len)
        };
        wait_until("the step to run", LIMIT, || {
            count("").filter(|count| *count == 1)
        })?;
        client.signal(signal)?;
        let ended = client.wait()?;
        ensure!(ended.code != 0, "{ended:?}");
        wait_until("the step to end", LIMIT, || {
            count("?all=1").filter(|count| *count == 0)
        })?;
    }
    daemon.clean()
}

#[test]
fn what_falls_over_with_a_secret_leaves_no_core() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let limits = "test $(ulimit -c) = 0 && test $(ulimit -H -c) = 0";
    let falls = "sh -c 'read KEY < /run/secrets/key; kill -SEGV $$' || true";
    let file = format!(
        "FROM busybox\nWORKDIR /work\nRUN --mount=type=secret,id=key {limits} && {falls}\n\
         RUN --mount=type=secret,id=key,env=KEY {limits}\nRUN ulimit -c > /usual\n"
    );
    let build = Build::of(&file).secret("key", "a secret");
    let id = build.image(&daemon)?;
    let files = tree(&daemon, &id)?;
    let left: Vec<_> = files
        .keys()
        .filter(|path| path.starts_with("work/"))
        .collect();
    ensure!(left.is_empty(), "{left:?}");
    // Who wants to see them says so.
    let file = "FROM busybox\nRUN --mount=type=secret,id=key ulimit -c > /usual\n";
    let limits = r#"[{"Name":"core","Soft":1024,"Hard":1024}]"#;
    let build = Build::of(file)
        .secret("key", "a secret")
        .set("ulimits", limits);
    let id = build.image(&daemon)?;
    let limit = text(&daemon, &id, "usual")?;
    ensure!(limit.trim() != "0", "{limit}");
    Ok(())
}

/// The most memory the daemon had.
fn peak(daemon: &Daemon) -> Result<u64> {
    let pid = daemon.pid().context("a daemon")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.context("VmHWM")?.parse::<u64>()? << 10)
}

/// A context of many files is an index in memory, and no file until one is needed.
#[test]
fn a_context_of_very_many_files() -> Result<()> {
    let count: u64 = match std::env::var_os("ONGGI_FULL") {
        Some(_) => 1_000_000,
        None => 50_000,
    };
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let before = peak(&daemon)?;
    let mut stream = UnixStream::connect(daemon.socket())?;
    stream.set_read_timeout(Some(LIMIT * 10 * patience()))?;
    write!(
        stream,
        "POST /build?version=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    let file = b"FROM busybox\nCOPY d7/f-70 /\n";
    let mut piece = entry("Dockerfile", file)?;
    for n in 0..count {
        piece.extend(entry(&format!("d{}/f-{n}", n % 9), b"")?);
        if piece.len() > 1 << 20 || n + 1 == count {
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(&piece)?;
            stream.write_all(b"\r\n")?;
            piece.clear();
        }
    }
    stream.write_all(b"400\r\n")?;
    stream.write_all(&[0; 1024])?;
    stream.write_all(b"\r\n0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.contains("Successfully built"), "{answer}");
    let grown = peak(&daemon)?.saturating_sub(before);
    ensure!(
        grown < (64 << 20) + count * 400,
        "{grown} bytes for {count} files"
    );
    Ok(())
}

/// A file as a tar has it.
fn entry(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    Ok(bytes)
}
