//! Contexts that cost what changed: what is known is not asked for, what is not is asked for once, and nothing is left.

use super::scene::{Build, Built, text, tree};
use super::session::{self, Session};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, LIMIT, wait_until};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

const DOCKERFILE: &str = "FROM busybox\nCOPY . /c/\n";
/// What a context is called by its client.
const KEY: &[u8] = b"0123abcd";

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

fn sha256(text: &str) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin")?;
    stdin.write_all(text.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?.stdout;
    let hex = std::str::from_utf8(&output)?;
    (0..32)
        .map(|at| Ok(u8::from_str_radix(&hex[2 * at..2 * at + 2], 16)?))
        .collect()
}

/// A file as it is announced.
fn file(path: &str, text: &str) -> Result<Vec<u8>> {
    let mut entry = vec![b'f'];
    entry.extend_from_slice(&0o644_u32.to_be_bytes());
    entry.extend_from_slice(&0_i64.to_be_bytes());
    entry.extend_from_slice(&u32::try_from(path.len())?.to_be_bytes());
    entry.extend_from_slice(path.as_bytes());
    entry.extend_from_slice(&(text.len() as u64).to_be_bytes());
    entry.extend_from_slice(&sha256(text)?);
    entry.extend_from_slice(&[0, 0]);
    Ok(entry)
}

/// Announces files; the session.
fn announce(daemon: &Daemon, files: &[(&str, &str)]) -> Result<Session> {
    let mut session = Session::begin(daemon, "")?;
    session.say(session::KEY, 0, KEY)?;
    session.say(session::CONTEXT, 0, b"")?;
    for (path, text) in files {
        session.say(session::ENTRIES, 0, &file(path, text)?)?;
    }
    session.say(session::READY, 0, b"")?;
    Ok(session)
}

/// Builds of what is announced, and gives what is asked for as it is in `given`; what was asked for, and what came of it.
fn build(
    daemon: &Daemon,
    files: &[(&str, &str)],
    given: &[(&str, &str)],
) -> Result<(Vec<String>, Built)> {
    let mut asked = Vec::new();
    let session = announce(daemon, files)?;
    let messages = session.messages(|session, _, numbers| {
        for number in numbers.chunks(4) {
            let number = u32::from_be_bytes(number.try_into()?);
            let (path, text) = given[number as usize];
            asked.push(path.to_owned());
            session.say(session::DATA, number, text.as_bytes())?;
            session.say(session::END, number, b"")?;
        }
        Ok(())
    })?;
    asked.sort();
    Ok((asked, Built::of(&messages)?))
}

/// Until what came with a build is kept: that is done behind the answer.
fn kept(daemon: &Daemon, packs: usize) -> Result<()> {
    let place = daemon
        .data_root()
        .join("build/caches/local-0123abcd/content");
    wait_until("what was sent to be kept", LIMIT, || {
        let entries = std::fs::read_dir(&place).ok()?.flatten();
        let is_pack = |path: &Path| path.extension().is_some_and(|kind| kind == "pack");
        (entries.filter(|entry| is_pack(&entry.path())).count() == packs).then_some(())
    })
}

/// Whether any file below is called so.
fn has(root: &Path, name: &str) -> bool {
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name() == name {
                return true;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    false
}

#[test]
fn what_changed_is_asked_for_and_nothing_else() -> Result<()> {
    let daemon = daemon()?;
    let first = [
        ("Dockerfile", DOCKERFILE),
        ("a", "1"),
        ("d/b", "2"),
        ("again", "1"),
    ];
    let (asked, built) = build(&daemon, &first, &first)?;
    ensure!(asked.len() == 3, "the same bytes are sent once: {asked:?}");
    let id = built.id.context("an image")?;
    ensure!(text(&daemon, &id, "c/d/b")? == "2" && text(&daemon, &id, "c/again")? == "1");
    kept(&daemon, 1)?;
    let (asked, built) = build(&daemon, &first, &first)?;
    ensure!(
        asked.is_empty() && built.id.as_ref() == Some(&id),
        "{asked:?}"
    );
    let changed = [
        ("Dockerfile", DOCKERFILE),
        ("a", "1"),
        ("d/b", "3"),
        ("again", "1"),
    ];
    let (asked, built) = build(&daemon, &changed, &changed)?;
    ensure!(asked == ["d/b"], "{asked:?}");
    let id = built.id.context("an image")?;
    ensure!(text(&daemon, &id, "c/d/b")? == "3" && text(&daemon, &id, "c/a")? == "1");
    // It is known, whoever sends it and how: an archive has the same files.
    let archive = changed
        .iter()
        .fold(Build::default(), |build, (path, text)| {
            build.file(path, text)
        });
    let same = archive.send(&daemon)?;
    ensure!(same.text.contains("Using cache"), "{}", same.text);
    // It is told of, and forgotten with the rest.
    kept(&daemon, 2)?;
    let usage = daemon
        .get("/system/df?type=build-cache&verbose=1")?
        .ok()?
        .text();
    ensure!(usage.contains("source.local"), "{usage}");
    daemon
        .post("/build/prune?all=1", &serde_json::json!({}))?
        .ok()?;
    let (asked, _) = build(&daemon, &changed, &changed)?;
    ensure!(asked.len() == 3, "{asked:?}");
    Ok(())
}

#[test]
fn bytes_that_are_not_what_was_announced_are_refused() -> Result<()> {
    let daemon = daemon()?;
    let files = [("Dockerfile", DOCKERFILE), ("a", "one")];
    for other in ["two", "on", "longer"] {
        let (_, built) = build(&daemon, &files, &[files[0], ("a", other)])?;
        let error = built.error.context("an error")?;
        ensure!(
            error.contains("changed while it was sent"),
            "{other}: {error}"
        );
    }
    // What came of it is nothing, and nothing is believed.
    let (asked, built) = build(&daemon, &files, &files)?;
    ensure!(
        built.id.is_some() && asked.contains(&"a".to_owned()),
        "{asked:?}"
    );
    Ok(())
}

#[test]
fn a_client_that_goes_while_it_is_asked_leaves_nothing() -> Result<()> {
    let daemon = daemon()?;
    let files = [("Dockerfile", DOCKERFILE), ("a", "one")];
    for is_early in [true, false] {
        let mut session = announce(&daemon, &files)?;
        if !is_early {
            while let Some((word, ..)) = session.hear()? {
                if word == session::WANT {
                    break;
                }
            }
        }
        drop(session);
        let place = daemon.data_root();
        wait_until("what was begun to go", LIMIT, || {
            let names = std::fs::read_dir(place.join("tmp")).ok()?.flatten();
            let is_layer = |name: &std::ffi::OsStr| name.as_bytes().starts_with(b"layer-");
            let layers = names.filter(|entry| is_layer(&entry.file_name()));
            (layers.count() == 0).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn what_is_no_session_is_refused() -> Result<()> {
    let daemon = daemon()?;
    for (word, payload) in [
        (99, &b""[..]),
        (session::ENTRIES, b"f"),
        (session::DATA, b"x"),
        (session::SECRET, b"x"),
        (session::KEY, b"../../x"),
    ] {
        let mut session = Session::begin(&daemon, "")?;
        session.say(session::CONTEXT, 0, b"")?;
        session.say(word, 0, payload)?;
        let messages = session.messages(|_, _, _| Ok(()))?;
        let error = Built::of(&messages)?.error.context("an error")?;
        ensure!(error.contains("broken session"), "{word}: {error}");
    }
    Ok(())
}

/// A context that is known, or of which nothing is taken, is never made of files.
#[test]
fn files_are_made_when_a_step_needs_them() -> Result<()> {
    let daemon = daemon()?;
    let dockerfile = "FROM busybox\nCOPY taken /\nRUN echo begun && sleep 600\n";
    let build = Build::of(dockerfile)
        .file("taken", "1")
        .file("left-behind", "2");
    let stream = build.begin(&daemon, "begun")?;
    ensure!(has(&daemon.data_root(), "taken"));
    ensure!(!has(&daemon.data_root(), "left-behind"));
    drop(stream);
    Ok(())
}

#[test]
fn a_directory_arrives_as_it_is() -> Result<()> {
    let daemon = daemon()?;
    let place = tempfile::tempdir()?;
    let root = place.path();
    std::fs::write(root.join("Dockerfile"), DOCKERFILE)?;
    std::fs::write(
        root.join(".dockerignore"),
        "secret\nDockerfile\n.dockerignore\n",
    )?;
    std::fs::create_dir_all(root.join("secret/deep"))?;
    std::fs::write(root.join("secret/deep/key"), "k")?;
    std::fs::create_dir_all(root.join("empty"))?;
    std::fs::write(root.join("tool"), "#!")?;
    std::fs::set_permissions(root.join("tool"), std::fs::Permissions::from_mode(0o4751))?;
    std::fs::hard_link(root.join("tool"), root.join("twin"))?;
    symlink("nowhere", root.join("link"))?;
    let odd = std::ffi::OsStr::from_bytes(b"odd\n\xff");
    std::fs::write(root.join(odd), "odd")?;
    let shown = root.display().to_string();
    let built = |name: &str| -> Result<String> {
        let output = daemon.cli(&["build", "-q", "-t", name, &shown])?;
        ensure!(output.code == 0, "{}", output.stderr);
        Ok(output.stdout.trim().to_owned())
    };
    let id = built("one")?;
    let files = tree(&daemon, &id)?;
    let of = |path: &str| {
        files
            .get(path)
            .with_context(|| format!("{path} is not there"))
    };
    ensure!(of("c/empty")?.kind == 'd' && of("c/link")?.link == "nowhere");
    let (tool, twin) = (of("c/tool")?, of("c/twin")?);
    ensure!(tool.mode == 0o4751 && tool.owner == (0, 0) && twin.mode == 0o4751);
    ensure!(
        tool.kind == 'h' || twin.kind == 'h',
        "two names of one file"
    );
    ensure!(files.keys().any(|name| name.starts_with("c/odd\n")));
    ensure!(
        !files
            .keys()
            .any(|name| name.contains("secret") || name == "c/Dockerfile")
    );
    ensure!(built("two")? == id);
    std::fs::write(root.join("tool"), "#?")?;
    ensure!(text(&daemon, &built("three")?, "c/tool")? == "#?");
    // One that cannot be read is named.
    std::fs::remove_file(root.join("Dockerfile"))?;
    symlink("gone", root.join("Dockerfile"))?;
    let refused = daemon.cli(&["build", "-q", &shown])?;
    ensure!(refused.code != 0);
    Ok(())
}

#[test]
fn many_files_are_no_matter() -> Result<()> {
    let daemon = daemon()?;
    let entries = (0..100_000).map(|number| {
        let (path, text) = (format!("d{}/f{number}", number % 100), number.to_string());
        Entry::File(path, 0o644, text.into_bytes())
    });
    let build = Build::of("FROM busybox\nCOPY d7/f7 /\n");
    let build = entries.fold(build, Build::entry);
    let id = build.image(&daemon)?;
    ensure!(text(&daemon, &id, "f7")? == "7");
    Ok(())
}
