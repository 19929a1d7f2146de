//! kill -9 in the middle of pushes: afterwards every tag that is there is whole, and what was promised is there.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Namespace, OnggiRegistry, Request};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Answers, BYTES, expect, is_full, sha256, with};

/// What an image of a round is made of: a layer all have, a layer of its own.
fn layers(worker: usize, round: usize) -> [Vec<u8>; 2] {
    let own = format!("{worker} {round} ").repeat(20_000).into_bytes();
    [vec![b's'; 300_000], own]
}

/// Checks that each tag of the repository pulls whole; gives the tags.
pub(crate) fn whole(registry: &dyn Answers, name: &str) -> Result<BTreeSet<String>> {
    let list = registry.get(&format!("/v2/{name}/tags/list"))?;
    if list.status == 404 {
        return Ok(BTreeSet::new());
    }
    let mut tags = BTreeSet::new();
    for tag in list.json()?["tags"].as_array().context("tags")? {
        let tag = tag.as_str().context("tag")?;
        let answer = registry.get(&format!("/v2/{name}/manifests/{tag}"))?;
        expect(&answer, 200)?;
        ensure!(
            answer.header("docker-content-digest") == Some(sha256(&answer.body).as_str()),
            "{name}:{tag}"
        );
        let manifest = answer.json()?;
        let config = std::iter::once(&manifest["config"]);
        for pointer in config.chain(manifest["layers"].as_array().context("layers")?) {
            let digest = pointer["digest"].as_str().context("digest")?;
            let blob = registry.get(&format!("/v2/{name}/blobs/{digest}"))?;
            expect(&blob, 200).with_context(|| format!("{name}:{tag} {digest}"))?;
            ensure!(
                sha256(&blob.body) == digest,
                "{name}:{tag} {digest} has other bytes"
            );
        }
        tags.insert(tag.to_owned());
    }
    Ok(tags)
}

#[test]
fn after_kill_9_during_pushes_every_tag_is_whole_or_absent() -> Result<()> {
    let namespace = Namespace::new()?;
    let mut registry = OnggiRegistry::start(
        &namespace,
        5000,
        &json!({"collect": {"interval": "1s", "grace": "1s"}}),
    )?;
    let rounds = if is_full() { 60 } else { 5 };
    let promised = Mutex::new(BTreeSet::new());
    for round in 0..rounds {
        let stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (registry, stopped, promised) = (&registry, &stopped, &promised);
                scope.spawn(move || {
                    for push in 0.. {
                        let tag = format!("t{round}-{worker}-{push}");
                        let [one, two] = layers(worker, round * 1000 + push);
                        // Refused connections are how this ends.
                        match registry.image("a", &tag, &[&one, &two]) {
                            Ok(_) => drop(promised.lock().map(|mut set| set.insert(tag))),
                            Err(_) if stopped.load(Ordering::Relaxed) => return,
                            // Collected in between: begin again.
                            Err(_) => {}
                        }
                    }
                });
            }
            // After so many pushes, in the middle of whatever goes on then.
            let enough = (round + 1) * 6;
            let pushed = onggi_testkit::wait_until("pushes", onggi_testkit::LIMIT, || {
                (promised.lock().map_or(0, |set| set.len()) >= enough).then_some(())
            });
            stopped.store(true, Ordering::Relaxed);
            let pid = registry.pid().and_then(|pid| i32::try_from(pid).ok());
            let pid = pid
                .and_then(rustix::process::Pid::from_raw)
                .context("pid")?;
            rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
            pushed
        })?;
        registry.kill()?;
        registry.run()?;
        let tags = whole(&registry, "a")?;
        let promised = promised.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        let lost: Vec<_> = promised.difference(&tags).collect();
        ensure!(lost.is_empty(), "lost: {lost:?}");
        ensure!(std::fs::read_dir(registry.path("data/tmp"))?.count() == 0);
    }
    Ok(())
}

/// A chunk cut off in the middle: the upload is where its bytes are, and goes on there.
#[test]
fn a_chunk_that_broke_off_goes_on() -> Result<()> {
    use std::io::Write;
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let content = b"0123456789".repeat(200_000);
    let path = registry.begin("a")?;
    let mut stream = registry.connect()?;
    write!(
        stream,
        "PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Range: 0-{}\r\nContent-Length: {}\r\n\r\n",
        content.len() - 1,
        content.len()
    )?;
    stream.write_all(&content[..1_500_000])?;
    stream.shutdown(std::net::Shutdown::Both)?;
    let far = |registry: &OnggiRegistry<'_>| -> Option<usize> {
        let state = registry.get(&path).ok()?;
        state.header("range")?.split_once('-')?.1.parse().ok()
    };
    let mut last = None;
    let at = onggi_testkit::wait_until("what came to be kept", onggi_testkit::LIMIT, || {
        // The request that broke off has the upload until it has written all that came.
        let at = far(&registry).filter(|at| *at > 0)?;
        let still = last == Some(at);
        last = Some(at);
        still.then_some(at)
    })? + 1;
    ensure!(at <= 1_500_000, "{at}");
    let range = format!("{at}-{}", content.len() - 1);
    let rest = Request::new("PATCH", &path)
        .body(BYTES, &content[at..])
        .header("Content-Range", range);
    let mut answer = registry.ask(rest)?;
    // More was still on its way to the disk: where it is now is in the answer.
    if answer.status == 416 {
        let at: usize = answer
            .header("range")
            .and_then(|r| r.split_once('-'))
            .context("range")?
            .1
            .parse::<usize>()?
            + 1;
        let range = format!("{at}-{}", content.len() - 1);
        answer = registry.ask(
            Request::new("PATCH", &path)
                .body(BYTES, &content[at..])
                .header("Content-Range", range),
        )?;
    }
    expect(&answer, 202)?;
    let digest = sha256(&content);
    expect(
        &registry.ask(Request::new(
            "PUT",
            &with(&path, &format!("digest={digest}")),
        ))?,
        201,
    )?;
    ensure!(registry.get(&format!("/v2/a/blobs/{digest}"))?.body == content);
    Ok(())
}
