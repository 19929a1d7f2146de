//! Content fetched from elsewhere: once, kept, looked at again, and served while the upstream is away.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{LIMIT, Namespace, OnggiRegistry, wait_until};
use serde_json::{Value, json};

use crate::{Answers, INDEX, expect, index, refused, sha256};

/// How often the upstream was asked like this, by its log.
fn asked(upstream: &OnggiRegistry<'_>, method: &str, part: &str) -> Result<usize> {
    let text = std::fs::read_to_string(upstream.path("access.log"))?;
    let mut count = 0;
    for line in text.lines() {
        let line: Value = serde_json::from_str(line)?;
        let path = line["path"].as_str().unwrap_or_default();
        count += usize::from(line["method"] == method && path.contains(part));
    }
    Ok(count)
}

fn cache(ttl: &str) -> Value {
    json!({"upstreams": [{"prefix": "far", "url": "http://127.0.0.1:5000", "ttl": ttl}]})
}

#[test]
fn fetched_once_kept_and_served_while_the_upstream_is_away() -> Result<()> {
    let namespace = Namespace::new()?;
    let mut upstream = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let layer = b"layer".repeat(500_000);
    let (bytes, digest) = upstream.image("team/app", "v1", &[&layer])?;
    let registry = OnggiRegistry::start(&namespace, 5001, &cache("1h"))?;
    let blob = format!("/v2/far/team/app/blobs/{}", sha256(&layer));
    // Many at once share one fetch of each thing.
    std::thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let manifest = registry.get("/v2/far/team/app/manifests/v1")?;
                    expect(&manifest, 200)?;
                    ensure!(manifest.body == bytes);
                    let head = registry.head(&blob)?;
                    expect(&head, 200)?;
                    ensure!(
                        head.header("content-length") == Some(layer.len().to_string().as_str())
                    );
                    ensure!(registry.get(&blob)?.body == layer, "other bytes");
                    Ok(())
                })
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("panicked"))?)
    })
    .with_context(|| registry.log())?;
    let fetches = wait_until("the fetch in the upstream's log", LIMIT, || {
        asked(&upstream, "GET", &sha256(&layer))
            .ok()
            .filter(|count| *count > 0)
    })?;
    ensure!(fetches == 1, "{fetches} fetches of the layer");
    let manifests = asked(&upstream, "GET", "/manifests/")?;
    ensure!(manifests == 1, "{manifests} fetches of the manifest");
    // A range of what is here.
    let part =
        registry.ask(onggi_testkit::Request::new("GET", &blob).header("Range", "bytes=5-9"))?;
    ensure!(part.status == 206 && part.body == b"layer");
    // Nothing is pushed into it; what nobody has is not here either.
    refused(
        &registry.post("/v2/far/team/app/blobs/uploads/")?,
        405,
        "UNSUPPORTED",
    )?;
    refused(
        &registry.put("far/team/app", "v1", INDEX, &index(&[]))?,
        405,
        "UNSUPPORTED",
    )?;
    refused(
        &registry.get("/v2/far/team/app/manifests/none")?,
        404,
        "MANIFEST_UNKNOWN",
    )?;
    refused(
        &registry.get("/v2/far/none/manifests/v1")?,
        404,
        "MANIFEST_UNKNOWN",
    )?;
    refused(
        &registry.get(&format!("/v2/far/team/app/blobs/{}", sha256(b"none")))?,
        404,
        "BLOB_UNKNOWN",
    )?;
    expect(&registry.post("/v2/near/blobs/uploads/")?, 202)?;
    // Away: what is here is served, what is not is 502.
    upstream.kill()?;
    ensure!(registry.get("/v2/far/team/app/manifests/v1")?.body == bytes);
    ensure!(
        registry
            .get(&format!("/v2/far/team/app/manifests/{digest}"))?
            .body
            == bytes
    );
    ensure!(registry.get(&blob)?.body == layer);
    expect(&registry.get("/v2/far/team/app/manifests/v2")?, 502)
}

#[test]
fn tags_are_looked_at_again_and_stay_when_nobody_answers() -> Result<()> {
    let namespace = Namespace::new()?;
    let mut upstream = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let (one, _) = upstream.image("app", "latest", &[b"one"])?;
    // Looked at again each time.
    let registry = OnggiRegistry::start(&namespace, 5001, &cache("0s"))?;
    let path = "/v2/far/app/manifests/latest";
    ensure!(registry.get(path)?.body == one);
    ensure!(registry.get(path)?.body == one);
    ensure!(
        asked(&upstream, "GET", "/manifests/latest")?
            + asked(&upstream, "GET", "/manifests/sha256")?
            == 1
    );
    let (two, _) = upstream.image("app", "latest", &[b"two"])?;
    ensure!(registry.get(path)?.body == two);
    upstream.kill()?;
    ensure!(registry.get(path)?.body == two);
    upstream.run()?;
    let (three, _) = upstream.image("app", "latest", &[b"three"])?;
    wait_until("the new tag", LIMIT, || {
        registry
            .get(path)
            .ok()
            .filter(|answer| answer.body == three)
    })?;
    expect(&upstream.delete("/v2/app/manifests/latest")?, 202)?;
    wait_until("the tag to go", LIMIT, || {
        registry
            .get(path)
            .ok()
            .filter(|answer| answer.status == 404)
    })?;
    Ok(())
}

#[test]
fn an_index_is_fetched_piece_by_piece_and_wrong_bytes_are_not_kept() -> Result<()> {
    let namespace = Namespace::new()?;
    let upstream = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let (child, digest) = upstream.image("app", "child", &[b"layer"])?;
    let list = index(&[&child]);
    expect(&upstream.put("app", "list", INDEX, &list)?, 201)?;
    let keys = json!({"upstreams": [{"prefix": "", "url": "http://127.0.0.1:5000"}]});
    let registry = OnggiRegistry::start(&namespace, 5001, &keys)?;
    let answer = registry.get("/v2/app/manifests/list")?;
    ensure!(
        answer.body == list && answer.header("content-type") == Some(INDEX),
        "{}",
        answer.text()
    );
    ensure!(
        asked(&upstream, "GET", &digest)? == 0,
        "more was fetched than was asked for"
    );
    ensure!(registry.get(&format!("/v2/app/manifests/{digest}"))?.body == child);
    // The upstream's disk lies.
    let layer = sha256(b"layer");
    let name = layer.trim_start_matches("sha256:");
    std::fs::write(
        upstream.path(&format!("data/repositories/app/blobs/sha256/{name}")),
        b"LAYER",
    )?;
    ensure!(
        registry.get(&format!("/v2/app/blobs/{layer}")).is_err(),
        "wrong bytes came whole"
    );
    ensure!(
        !registry
            .path(&format!("data/repositories/app/blobs/sha256/{name}"))
            .exists()
    );
    wait_until("what came of it to go", LIMIT, || {
        (std::fs::read_dir(registry.path("data/tmp")).ok()?.count() == 0).then_some(())
    })?;
    // And is right again: nothing was remembered.
    std::fs::write(
        upstream.path(&format!("data/repositories/app/blobs/sha256/{name}")),
        b"layer",
    )?;
    ensure!(registry.get(&format!("/v2/app/blobs/{layer}"))?.body == b"layer");
    Ok(())
}
