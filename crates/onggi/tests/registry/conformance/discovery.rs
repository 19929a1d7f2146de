//! Content discovery.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Must, must};
use crate::{Answers, INDEX, MANIFEST, expect, manifest, refused, sha256};

/// The tags of a page, and the path of the next one.
fn page(r: &dyn Answers, path: &str) -> Result<(Vec<String>, Option<String>)> {
    let answer = r.get(path)?;
    expect(&answer, 200)?;
    let document = answer.json()?;
    let tags = document["tags"].as_array().context("no tags")?.iter();
    let tags = tags
        .map(|tag| tag.as_str().unwrap_or_default().to_owned())
        .collect();
    let next = answer.header("link").map(|link| {
        let target = link
            .split('>')
            .next()
            .unwrap_or_default()
            .trim_start_matches('<');
        let at = target.find("/v2/").unwrap_or(0);
        target[at..].to_owned()
    });
    Ok((tags, next))
}

/// The tags below, sorted.
const SORTED: [&str; 8] = ["A", "b", "k9", "latest", "m3", "v10", "v2", "z"];

/// Tags in another order than sorted; so many that they are not sorted by accident.
fn tagged(r: &dyn Answers, name: &str) -> Result<()> {
    let (bytes, _) = r.image(name, "v10", &[])?;
    for tag in ["latest", "v2", "A", "m3", "z", "b", "k9"] {
        expect(&r.put(name, tag, MANIFEST, &bytes)?, 201)?;
    }
    Ok(())
}

/// Manifests about a subject, of two types; the digest of the subject.
fn about(r: &dyn Answers, name: &str) -> Result<(String, Vec<String>)> {
    let (_, subject) = r.image(name, "subject", &[])?;
    let mut digests = Vec::new();
    for (kind, note) in [("a/one", "first"), ("a/two", "second"), ("a/one", "third")] {
        let pointer = json!({"mediaType": MANIFEST, "digest": subject, "size": 1});
        let bytes = manifest(
            b"{}",
            &[],
            json!({"artifactType": kind, "annotations": {"note": note}, "subject": pointer}),
        );
        let digest = sha256(&bytes);
        expect(&r.put(name, &digest, MANIFEST, &bytes)?, 201)?;
        digests.push(digest);
    }
    Ok((subject, digests))
}

fn referrers(r: &dyn Answers, path: &str) -> Result<Vec<Value>> {
    let answer = r.get(path)?;
    expect(&answer, 200)?;
    ensure!(
        answer.header("content-type") == Some(INDEX),
        "{:?}",
        answer.header("content-type")
    );
    let mut document = answer.json()?;
    ensure!(document["schemaVersion"] == 2 && document["mediaType"] == INDEX);
    Ok(document["manifests"]
        .as_array_mut()
        .context("no manifests")?
        .drain(..)
        .collect())
}

const NO_REFERRERS: &str = "has no referrers";

pub(super) const MUSTS: &[Must] = &[
    must("tags are listed, sorted", |r, name| {
        tagged(r, name)?;
        let path = format!("/v2/{name}/tags/list");
        let (tags, next) = page(r, &path)?;
        ensure!(tags == SORTED && next.is_none(), "{tags:?}");
        ensure!(r.get(&path)?.json()?["name"] == name);
        Ok(())
    })
    .gap("lists them as they lie in their folder"),
    must(
        "n is the most that come, and Link leads to the rest",
        |r, name| {
            tagged(r, name)?;
            let mut path = format!("/v2/{name}/tags/list?n=3");
            let mut all = Vec::new();
            let mut pages = 0;
            loop {
                let (tags, next) = page(r, &path)?;
                ensure!(tags.len() <= 3);
                all.extend(tags);
                pages += 1;
                match next {
                    Some(next) => path = next,
                    None => break,
                }
            }
            ensure!(all == SORTED && pages == 3, "{all:?} in {pages}");
            Ok(())
        },
    )
    .gap("lists all tags at once"),
    must(
        "last is where they go on, whether it is a tag or not",
        |r, name| {
            tagged(r, name)?;
            for (last, expected) in [("latest", &SORTED[4..]), ("m", &SORTED[4..]), ("z", &[])] {
                let (tags, _) = page(r, &format!("/v2/{name}/tags/list?n=10&last={last}"))?;
                ensure!(tags == expected, "{last}: {tags:?}");
            }
            Ok(())
        },
    )
    .gap("lists all tags at once"),
    must("n=0 is an empty list without a Link", |r, name| {
        tagged(r, name)?;
        let (tags, next) = page(r, &format!("/v2/{name}/tags/list?n=0"))?;
        ensure!(tags.is_empty() && next.is_none());
        Ok(())
    })
    .gap("lists all tags at once"),
    must(
        "tags of a repository that is not there are 404 NAME_UNKNOWN",
        |r, name| {
            refused(
                &r.get(&format!("/v2/{name}/none/tags/list"))?,
                404,
                "NAME_UNKNOWN",
            )
        },
    ),
    must(
        "what is about a manifest is an index of descriptors with types and annotations",
        |r, name| {
            let (subject, digests) = about(r, name)?;
            let found = referrers(r, &format!("/v2/{name}/referrers/{subject}"))?;
            ensure!(found.len() == 3, "{found:?}");
            for (digest, kind, note) in [
                (&digests[0], "a/one", "first"),
                (&digests[1], "a/two", "second"),
            ] {
                let one = found
                    .iter()
                    .find(|d| d["digest"] == **digest)
                    .context("missing")?;
                ensure!(
                    one["mediaType"] == MANIFEST
                        && one["artifactType"] == kind
                        && one["annotations"]["note"] == note,
                    "{one}"
                );
                ensure!(one["size"].as_u64().is_some_and(|size| size > 0));
            }
            Ok(())
        },
    )
    .gap(NO_REFERRERS),
    must(
        "without an artifact type it is the configuration's",
        |r, name| {
            let (_, subject) = r.image(name, "subject", &[])?;
            let pointer = json!({"mediaType": MANIFEST, "digest": subject, "size": 1});
            let bytes = manifest(b"{}", &[], json!({"subject": pointer}));
            expect(&r.put(name, &sha256(&bytes), MANIFEST, &bytes)?, 201)?;
            let found = referrers(r, &format!("/v2/{name}/referrers/{subject}"))?;
            ensure!(
                found[0]["artifactType"] == "application/vnd.oci.image.config.v1+json",
                "{found:?}"
            );
            Ok(())
        },
    )
    .gap(NO_REFERRERS),
    must(
        "nothing is about most: an empty index, never 404",
        |r, name| {
            r.image(name, "v1", &[])?;
            let none = sha256(b"none");
            ensure!(referrers(r, &format!("/v2/{name}/referrers/{none}"))?.is_empty());
            ensure!(referrers(r, &format!("/v2/{name}/none/referrers/{none}"))?.is_empty());
            Ok(())
        },
    )
    .gap(NO_REFERRERS),
    must("a filter that was applied is named", |r, name| {
        let (subject, digests) = about(r, name)?;
        let path = format!("/v2/{name}/referrers/{subject}?artifactType=a/two");
        let found = referrers(r, &path)?;
        ensure!(
            found.len() == 1 && found[0]["digest"] == *digests[1],
            "{found:?}"
        );
        ensure!(r.get(&path)?.header("oci-filters-applied") == Some("artifactType"));
        let all = r.get(&format!("/v2/{name}/referrers/{subject}"))?;
        ensure!(all.header("oci-filters-applied").is_none());
        Ok(())
    })
    .gap(NO_REFERRERS),
    must("referrers of what is no digest are 400", |r, name| {
        r.image(name, "v1", &[])?;
        for bad in ["v1", "sha256:x"] {
            expect(&r.get(&format!("/v2/{name}/referrers/{bad}"))?, 400)?;
        }
        Ok(())
    })
    .gap(NO_REFERRERS),
    must("repositories are listed in pages", |r, name| {
        for one in ["a", "b", "c"] {
            r.image(&format!("{name}/{one}"), "v1", &[])?;
        }
        let mut path = format!("/v2/_catalog?n=2&last={name}");
        let mut found = Vec::new();
        for _ in 0..100 {
            let answer = r.get(&path)?;
            expect(&answer, 200)?;
            let names = answer.json()?["repositories"].take();
            let names = names.as_array().context("no repositories")?;
            ensure!(names.len() <= 2);
            found.extend(names.iter().filter_map(|n| n.as_str().map(str::to_owned)));
            let Some(link) = answer.header("link") else {
                break;
            };
            let target = link.split('>').next().unwrap_or_default();
            path = target[target.find("/v2/").context("no path")?..].to_owned();
        }
        let ours: Vec<_> = found
            .iter()
            .filter(|n| n.starts_with(&format!("{name}/")))
            .collect();
        ensure!(ours.len() == 3 && found.is_sorted(), "{found:?}");
        Ok(())
    }),
];
