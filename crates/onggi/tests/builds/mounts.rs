//! `RUN --mount`: what a command sees besides its files, and that nothing of it stays.

use super::scene::{Build, text, tree};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, Entry};

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

#[test]
fn commands_see_the_context_stages_and_images() -> Result<()> {
    let daemon = daemon()?;
    let dockerfile = "FROM busybox AS one\nRUN mkdir /out && echo stage > /out/f\n\
        FROM one AS two\nRUN echo more > /out/g\n\
        FROM busybox\n\
        RUN --mount=target=/ctx,source=dir cat /ctx/f /ctx/link > /a && ! touch /ctx/x 2> /dev/null\n\
        RUN --mount=from=two,source=/out,target=/m/n ls /m/n > /b\n\
        RUN --mount=from=one,source=/out/f,target=/file cat /file > /c\n\
        RUN --mount=target=/rw,rw touch /rw/new && ls /rw > /d\n\
        RUN --mount=target=/again ls /again > /e\n\
        RUN --mount=type=tmpfs,target=/t echo x > /t/x && ls /t > /f\n\
        RUN cat <<EOF > /g\nhere\nEOF\n\
        RUN <<EOF\n#!/bin/busybox sh\necho script > /h\nEOF\n";
    let build = Build::of(dockerfile)
        .file("dir/f", "context\n")
        .entry(Entry::Link("dir/link".into(), "f".into()));
    let id = build.image(&daemon)?;
    let files = tree(&daemon, &id)?;
    let content = |path: &str| {
        let seen = files.get(path).map(|seen| seen.content.clone());
        String::from_utf8_lossy(&seen.unwrap_or_default()).into_owned()
    };
    let expected = [
        ("a", "context\ncontext\n"),
        ("b", "f\ng\n"),
        ("c", "stage\n"),
        ("d", "Dockerfile\ndir\nnew\n"),
        ("e", "Dockerfile\ndir\n"),
        ("f", "x\n"),
        ("g", "here\n"),
        ("h", "script\n"),
    ];
    for (path, wanted) in expected {
        ensure!(content(path) == wanted, "{path}: {:?}", content(path));
    }
    // What was made to mount things onto is not the image's.
    for path in ["ctx", "m", "m/n", "file", "rw", "again", "t", "dev/pipes"] {
        ensure!(!files.contains_key(path), "{path} stayed");
    }
    Ok(())
}

#[test]
fn caches_outlive_builds_and_are_none_of_the_image() -> Result<()> {
    let mut daemon = daemon()?;
    let build = |text: &str| {
        let line = format!(
            "FROM busybox\nRUN --mount=type=cache,target=/c,id=mine echo {text} >> /c/log && cp /c/log /log\n"
        );
        Build::of(&line)
    };
    build("one").image(&daemon)?;
    daemon.kill()?;
    daemon.run()?;
    let id = build("two").image(&daemon)?;
    ensure!(text(&daemon, &id, "log")? == "one\ntwo\n");
    ensure!(!tree(&daemon, &id)?.contains_key("c"));
    let usage = daemon.get("/system/df")?.ok()?.json()?;
    let all = usage["BuildCache"].as_array().cloned().unwrap_or_default();
    let cache = all.iter().find(|one| one["Type"] == "exec.cachemount");
    ensure!(cache.is_some_and(|one| one["Size"] == 8), "{usage}");
    daemon
        .post("/build/prune?all=1", &serde_json::Value::Null)?
        .ok()?;
    let id = build("three").image(&daemon)?;
    ensure!(text(&daemon, &id, "log")? == "three\n");
    Ok(())
}

#[test]
fn secrets_are_seen_by_their_command_alone() -> Result<()> {
    const SECRET: &str = "s3cr3t-0f-th3-bu1ld";
    let daemon = daemon()?;
    let dockerfile = "FROM busybox\n\
        RUN --mount=type=secret,id=key test \"$(cat /run/secrets/key)\" = s3cr3t-0f-th3-bu1ld && stat -c %a:%u /run/secrets/key > /mode\n\
        RUN --mount=type=secret,id=key,target=/root/.key,mode=0440,uid=5 stat -c %a:%u /root/.key >> /mode\n\
        RUN --mount=type=secret,id=key,env=KEY test ${#KEY} = 19\n\
        RUN test ! -e /run/secrets/key && test -z \"$KEY\"\n"
        .replace("s3cr3t-0f-th3-bu1ld", "$(printf 's3cr3t-0f-%s' th3-bu1ld)");
    let build = Build::of(&dockerfile).secret("key", SECRET);
    let id = build.image(&daemon)?;
    ensure!(text(&daemon, &id, "mode")? == "400:0\n440:5\n");
    for path in ["run/secrets", "root/.key"] {
        ensure!(!tree(&daemon, &id)?.contains_key(path), "{path} stayed");
    }
    Ok(())
}

#[test]
fn linked_copies_lie_over_what_is_below() -> Result<()> {
    let daemon = daemon()?;
    let dockerfile = "FROM busybox\nRUN mkdir /real && ln -s /real /link && echo old > /real/old\n\
        COPY --link f /link/f\nCOPY f /other/f\n";
    let id = Build::of(dockerfile).file("f", "new").image(&daemon)?;
    let files = tree(&daemon, &id)?;
    // No link of the base leads it elsewhere.
    ensure!(files["link"].kind == 'd', "{:?}", files["link"]);
    ensure!(files["link/f"].content == b"new");
    ensure!(!files.contains_key("real/f") && files.contains_key("real/old"));
    ensure!(files["other/f"].content == b"new");
    Ok(())
}
