//! What is known of steps, and for how long. Which change does which of them again is in [`super::again`].

use super::scene::{Build, inspect};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, Namespace, OnggiRegistry, wait_until};

const BASE: &str = "FROM busybox\nARG A\nENV E=1\nWORKDIR /w\nCOPY a.txt b.txt ./\nCOPY dir /dir\nRUN cat a.txt > seen\nRUN echo $A > arg\nCMD [\"sh\"]\n";

fn base(dockerfile: &str) -> Build {
    Build::of(dockerfile)
        .file("a.txt", "a")
        .file("b.txt", "b")
        .file("dir/c", "c")
        .file("other", "o")
}

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

#[test]
fn what_is_known_is_the_same_image_also_for_the_next_daemon() -> Result<()> {
    let mut daemon = daemon()?;
    let first = base(BASE).image(&daemon)?;
    ensure!(base(BASE).image(&daemon)? == first);
    daemon.kill()?;
    daemon.run()?;
    let again = base(BASE).send(&daemon)?;
    ensure!(again.done().is_empty(), "{}", again.text);
    ensure!(again.id == Some(first.clone()));
    // Removed images leave what is known, until it is pruned.
    daemon.delete(&format!("/images/{first}?force=1"))?.ok()?;
    ensure!(base(BASE).send(&daemon)?.done().is_empty());
    daemon.delete(&format!("/images/{first}?force=1"))?.ok()?;
    let pruned = daemon
        .post("/build/prune?all=1", &serde_json::Value::Null)?
        .ok()?
        .json()?;
    ensure!(
        pruned["CachesDeleted"]
            .as_array()
            .is_some_and(|gone| gone.len() >= 5),
        "{pruned}"
    );
    ensure!(pruned["SpaceReclaimed"].as_u64() > Some(0), "{pruned}");
    ensure!(base(BASE).send(&daemon)?.done().len() == 5);
    Ok(())
}

#[test]
fn stages_that_nobody_needs_are_not_done() -> Result<()> {
    let daemon = daemon()?;
    let text = "FROM busybox AS a\nRUN echo a > /a\nFROM busybox AS b\nRUN false\nFROM busybox\nCOPY --from=a /a /a\n";
    let built = Build::of(text).send(&daemon)?;
    ensure!(built.error.is_none(), "{built:?}");
    ensure!(!built.text.contains("RUN false"), "{}", built.text);
    let of_a = Build::of(text).set("target", "a").send(&daemon)?;
    ensure!(of_a.done().is_empty() && of_a.error.is_none(), "{of_a:?}");
    let of_b = Build::of(text).set("target", "b").send(&daemon)?;
    ensure!(of_b.code == 1, "{of_b:?}");
    Ok(())
}

#[test]
fn one_time_for_all_makes_the_same_image_anywhere() -> Result<()> {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let daemon = daemon()?;
        let args = r#"{"SOURCE_DATE_EPOCH":"1700000000"}"#;
        let text = "FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN mkdir /d && echo x > /d/x\nCOPY a.txt /\nWORKDIR /w\n";
        let id = base(text).set("buildargs", args).image(&daemon)?;
        let created = inspect(&daemon, &id)?["Created"].clone();
        ensure!(created == "2023-11-14T22:13:20Z", "{created}");
        ids.push(id);
    }
    ensure!(ids[0] == ids[1], "{ids:?}");
    Ok(())
}

#[test]
fn an_image_carries_what_is_known_of_its_steps_to_others() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &serde_json::json!({}))?;
    let name = format!("{}/cached:1", registry.address());
    let daemon = || -> Result<Daemon> {
        let daemon = Daemon::start_with(DaemonOptions {
            namespace: Some(namespace.try_clone()?),
            ..DaemonOptions::default()
        })?;
        daemon.load_busybox()?;
        Ok(daemon)
    };
    let inline = r#"{"BUILDKIT_INLINE_CACHE":"1"}"#;
    let mut first = daemon()?;
    let id = base(BASE)
        .set("t", &name)
        .set("buildargs", inline)
        .image(&first)?;
    first.cli(&["push", &name])?.ok()?;
    first.stop()?;
    let second = daemon()?;
    let built = base(BASE)
        .set("buildargs", inline)
        .set("cachefrom", &format!("[\"{name}\"]"))
        .send(&second)?;
    ensure!(built.done().is_empty(), "{}", built.text);
    ensure!(built.id == Some(id), "{built:?}");
    second.cli(&["system", "check"])?.ok()?;
    Ok(())
}

#[test]
fn what_is_known_takes_no_more_room_than_it_may() -> Result<()> {
    let mut daemon = Daemon::start()?;
    daemon.stop()?;
    std::fs::write(
        daemon.path("daemon.json"),
        r#"{"builder":{"gc":{"defaultKeepStorage":"300kB"}}}"#,
    )?;
    daemon.run()?;
    daemon.load_busybox()?;
    let build = |n: u32| {
        let text = format!("FROM busybox\nRUN head -c 100000 /bin/busybox > /{n}\n");
        Build::of(&text).image(&daemon)
    };
    let size = || -> Result<i64> {
        let usage = daemon.get("/system/df?type=build-cache")?.ok()?.json()?;
        let all = usage["BuildCache"].as_array().cloned().unwrap_or_default();
        Ok(all.iter().filter_map(|one| one["Size"].as_i64()).sum())
    };
    for n in 0..6 {
        // What an image has is none of the cache alone.
        let id = build(n)?;
        daemon.delete(&format!("/images/{id}?force=1"))?.ok()?;
    }
    let last = build(6)?;
    wait_until("the cache to be collected", LIMIT, || {
        size().ok().filter(|size| *size <= 500_000)
    })?;
    ensure!(build(6)? == last, "what an image is made of was forgotten");
    Ok(())
}
