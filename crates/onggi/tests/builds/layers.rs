//! What a step leaves is a layer where it lies: it is what its blob holds, whatever happens meanwhile.

use super::scene::{Build, text, tree};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, Image, LIMIT, Layer, Request, wait_until};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Command;

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

/// Each layer is compared with what is unpacked of its blob.
fn check(daemon: &Daemon) -> Result<()> {
    let check = daemon.cli(&["system", "check"])?;
    ensure!(check.code == 0, "{}{}", check.stdout, check.stderr);
    Ok(())
}

/// The container of the step that runs.
fn container(daemon: &Daemon) -> Result<String> {
    wait_until("the container of a step", LIMIT, || {
        let all = daemon
            .get("/containers/json")
            .ok()?
            .ok()
            .ok()?
            .json()
            .ok()?;
        Some(all[0]["Id"].as_str()?.to_owned())
    })
}

/// Reads an answer until it says `text`; what it said.
fn until(stream: &mut UnixStream, text: &str) -> Result<String> {
    let mut answer = String::new();
    let mut buffer = [0; 4096];
    while !answer.contains(text) {
        let count = stream.read(&mut buffer).with_context(|| answer.clone())?;
        ensure!(count > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    Ok(answer)
}

fn layers(daemon: &Daemon) -> usize {
    let layers = std::fs::read_dir(daemon.data_root().join("layers"));
    layers.map_or(0, Iterator::count)
}

const CHANGES: &str = "FROM busybox
RUN mkdir -p /d/sub /gone/deep /opaque && echo one > /d/one && echo two > /d/sub/two && touch /gone/f /opaque/old
COPY . /src/
WORKDIR /made/here
RUN --mount=type=cache,target=/new/cache --mount=type=tmpfs,target=/src/mounted \\
    rm -r /gone && rm -r /opaque && mkdir /opaque && echo new > /opaque/new && \\
    ln /d/one /d/again && ln -s sub/two /d/soft && mkfifo /d/pipe && rm /d/sub/two && \\
    dd if=/dev/zero of=/d/holes bs=1 count=1 seek=1000000 && chmod 4755 /d/one && chmod 2775 /d/sub && \\
    chown 5:6 /src/a && touch /new/cache/kept && echo x > /.hidden && chmod 700 /
RUN echo later >> /d/one && rm -r /src/dir && mv /d/soft /d/moved
COPY --link --chmod=600 a /linked/
";

#[test]
fn a_layer_is_what_its_blob_holds() -> Result<()> {
    let daemon = daemon()?;
    let build = Build::of(CHANGES)
        .file("a", "a")
        .entry(Entry::HardLink("b".to_owned(), "a".to_owned()))
        .entry(Entry::Link("c".to_owned(), "a".to_owned()))
        .entry(Entry::Directory("dir".to_owned(), 0o711))
        .file("dir/file", "file");
    for time in [None, Some(r#"{"SOURCE_DATE_EPOCH":"1700000000"}"#)] {
        let build = match time {
            None => build.clone(),
            Some(time) => build.clone().set("buildargs", time),
        };
        let id = build.image(&daemon)?;
        check(&daemon)?;
        let files = tree(&daemon, &id)?;
        let has = |path: &str| files.contains_key(path);
        ensure!(has("d/moved") && has("opaque/new") && has("linked/a") && has(".hidden"));
        for gone in ["gone", "opaque/old", "d/sub/two", "src/dir", "d/soft"] {
            ensure!(!has(gone), "{gone}");
        }
        // What was made to mount something onto is in no layer.
        ensure!(!has("new") && !has("src/mounted"), "{:?}", files.keys());
        // Elsewhere it is unpacked.
        let saved = daemon.get(&format!("/images/{id}/get"))?.ok()?;
        let other = Daemon::start()?;
        let load = Request::new("POST", "/images/load").body("application/x-tar", saved.body);
        other.send(&load)?.ok()?;
        ensure!(tree(&other, &id)? == files);
    }
    Ok(())
}

#[test]
fn a_linked_copy_is_put_on_another_base() -> Result<()> {
    let daemon = daemon()?;
    let file = |base: &str, content: &str, options: &str| {
        let text = format!(
            "FROM busybox AS stage\nRUN echo staged > /staged\nFROM busybox\nRUN echo {base} > /base\nCOPY --link {options} f /linked/\nCOPY --link --from=stage /staged /\n"
        );
        Build::of(&text).file("f", content)
    };
    let first = file("1", "content", "").image(&daemon)?;
    let built = file("2", "content", "").send(&daemon)?;
    ensure!(built.done() == ["RUN echo 2 > /base"], "{}", built.text);
    let second = built.id.context("no image")?;
    for (id, base) in [(&first, "1\n"), (&second, "2\n")] {
        ensure!(text(&daemon, id, "base")? == base);
        ensure!(text(&daemon, id, "linked/f")? == "content");
        ensure!(text(&daemon, id, "staged")? == "staged\n");
    }
    check(&daemon)?;
    // Both are there: neither is made again.
    for base in ["1", "2"] {
        let built = file(base, "content", "").send(&daemon)?;
        ensure!(built.done().is_empty(), "{}", built.text);
    }
    let built = file("2", "other", "").send(&daemon)?;
    ensure!(
        built.done() == ["COPY --link  f /linked/"],
        "{}",
        built.text
    );
    // Who has a name is said by the files below.
    let named = |base: &str| file(base, "content", "--chown=root").send(&daemon);
    named("1")?;
    let built = named("3")?;
    let done = ["RUN echo 3 > /base", "COPY --link --chown=root f /linked/"];
    ensure!(built.done() == done, "{}", built.text);
    // What it was put on may go.
    for id in [&first, &second] {
        daemon.delete(&format!("/images/{id}?force=1"))?.ok()?;
    }
    let again = file("1", "content", "").image(&daemon)?;
    ensure!(again == first);
    check(&daemon)
}

#[test]
fn a_step_whose_container_is_removed_says_so() -> Result<()> {
    let daemon = daemon()?;
    let build = Build::of("FROM busybox\nRUN echo begun && sleep 600\n");
    let mut stream = build.begin(&daemon, "begun")?;
    let id = container(&daemon)?;
    daemon.delete(&format!("/containers/{id}?force=1"))?.ok()?;
    let answer = until(&mut stream, "errorDetail")?;
    let said = format!(
        "container {}, in which the step ran, was removed",
        &id[..12]
    );
    ensure!(answer.contains(&said), "{answer}");
    let next = Build::of("FROM busybox\nRUN echo begun\n");
    ensure!(next.send(&daemon)?.error.is_none());
    check(&daemon)
}

#[test]
fn an_image_that_is_removed_meanwhile_stays_for_the_build() -> Result<()> {
    let daemon = daemon()?;
    let layer = Layer::new(&[Entry::File("kept".to_owned(), 0o644, b"kept".to_vec())])?;
    daemon.load(&Image::busybox()?.layer(layer), &["other:latest"])?;
    let text = "FROM other AS from\nFROM busybox\nRUN echo begun\nCOPY --from=from /kept /\n";
    let mut stream = Build::of(text).begin(&daemon, "begun")?;
    daemon.delete("/images/other?force=1")?.ok()?;
    let answer = until(&mut stream, "Successfully built")?;
    let (_, id) = answer.split_once("\"ID\":\"").context("no image")?;
    let id = id.split('"').next().unwrap_or_default();
    ensure!(super::scene::text(&daemon, id, "kept")? == "kept");
    check(&daemon)
}

#[test]
fn a_daemon_that_is_killed_while_layers_are_made_has_none_by_halves() -> Result<()> {
    let mut daemon = daemon()?;
    let count = match std::env::var_os("ONGGI_FULL") {
        Some(_) => 25,
        None => 3,
    };
    for n in 0..count {
        let mut build =
            Build::of("FROM busybox\nCOPY . /files/\nRUN rm -r /files/d1 && echo 1 > /one\n");
        for file in 0..100 {
            build = build.file(&format!("d{}/{file}", file % 7), &format!("{n} {file}"));
        }
        let before = layers(&daemon);
        let stream = build.begin(&daemon, "")?;
        wait_until("a layer", LIMIT, || {
            (layers(&daemon) > before).then_some(())
        })?;
        daemon.kill()?;
        drop(stream);
        daemon.run()?;
        check(&daemon)?;
        let built = build.send(&daemon)?;
        ensure!(built.error.is_none(), "{built:?}");
    }
    check(&daemon)
}

#[test]
fn a_full_disk_leaves_no_layer_by_halves() -> Result<()> {
    let mut daemon = Daemon::start()?;
    daemon.stop()?;
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
        .arg(daemon.data_root())
        .status()?;
    ensure!(mount.success(), "{mount}");
    daemon.run()?;
    daemon.load_busybox()?;
    let room = rustix::fs::statvfs(daemon.data_root())?;
    let filler = std::fs::File::create(daemon.data_root().join("filler"))?;
    let free = room.f_bavail * room.f_frsize;
    let flags = rustix::fs::FallocateFlags::empty();
    // Enough for the context and its copy, not for the blob; and not for what a command writes.
    rustix::fs::fallocate(&filler, flags, 0, free - (5 << 20))?;
    let content = "x".repeat(2 << 20);
    let copies = Build::of("FROM busybox\nCOPY f /\n").file("f", &content);
    let runs = Build::of("FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=4\n");
    for build in [&copies, &runs] {
        let built = build.send(&daemon)?;
        let error = built.error.unwrap_or_default().to_lowercase();
        ensure!(
            error.contains("no space left on device"),
            "{error}\n{}",
            built.text
        );
    }
    check(&daemon)?;
    drop(filler);
    std::fs::remove_file(daemon.data_root().join("filler"))?;
    for build in [&copies, &runs] {
        build.image(&daemon)?;
    }
    check(&daemon)
}
