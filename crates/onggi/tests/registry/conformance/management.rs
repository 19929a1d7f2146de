//! Content management.

use anyhow::ensure;
use serde_json::json;

use super::{Must, must};
use crate::{MANIFEST, expect, manifest, refused, sha256};

pub(super) const MUSTS: &[Must] = &[
    must(
        "a tag is deleted: 202, then 404; the manifest stays by its digest",
        |r, name| {
            let (_, digest) = r.image(name, "v1", &[])?;
            r.image(name, "v2", &[])?;
            expect(&r.delete(&format!("/v2/{name}/manifests/v1"))?, 202)?;
            refused(
                &r.get(&format!("/v2/{name}/manifests/v1"))?,
                404,
                "MANIFEST_UNKNOWN",
            )?;
            expect(&r.get(&format!("/v2/{name}/manifests/v2"))?, 200)?;
            expect(&r.get(&format!("/v2/{name}/manifests/{digest}"))?, 200)?;
            ensure!(r.get(&format!("/v2/{name}/tags/list"))?.json()?["tags"] == json!(["v2"]));
            Ok(())
        },
    )
    .gap("deletes manifests only by digest"),
    must(
        "a manifest is deleted by its digest: 202, then 404, with its tags",
        |r, name| {
            let (_, digest) = r.image(name, "v1", &[b"one"])?;
            r.image(name, "v2", &[b"two"])?;
            expect(&r.delete(&format!("/v2/{name}/manifests/{digest}"))?, 202)?;
            expect(&r.get(&format!("/v2/{name}/manifests/{digest}"))?, 404)?;
            expect(&r.get(&format!("/v2/{name}/manifests/v1"))?, 404)?;
            expect(&r.get(&format!("/v2/{name}/manifests/v2"))?, 200)
        },
    ),
    must("a manifest that is not there is 404", |r, name| {
        r.image(name, "v1", &[])?;
        expect(
            &r.delete(&format!("/v2/{name}/manifests/{}", sha256(b"other")))?,
            404,
        )
    }),
    must("a tag that is not there is 404", |r, name| {
        r.image(name, "v1", &[])?;
        expect(&r.delete(&format!("/v2/{name}/manifests/other"))?, 404)
    })
    .gap("deletes manifests only by digest"),
    must("a blob is deleted: 202, then 404", |r, name| {
        let digest = r.blob(name, b"content")?;
        expect(&r.delete(&format!("/v2/{name}/blobs/{digest}"))?, 202)?;
        expect(&r.get(&format!("/v2/{name}/blobs/{digest}"))?, 404)?;
        refused(
            &r.delete(&format!("/v2/{name}/blobs/{digest}"))?,
            404,
            "BLOB_UNKNOWN",
        )
    }),
    must("a blob deleted here is still there", |r, name| {
        let (one, two) = (format!("{name}/one"), format!("{name}/two"));
        let digest = r.blob(&one, b"shared content")?;
        r.blob(&two, b"shared content")?;
        expect(&r.delete(&format!("/v2/{one}/blobs/{digest}"))?, 202)?;
        let answer = r.get(&format!("/v2/{two}/blobs/{digest}"))?;
        ensure!(answer.status == 200 && answer.body == b"shared content");
        Ok(())
    }),
    must("what was deleted can be pushed again", |r, name| {
        let (_, digest) = r.image(name, "v1", &[b"again"])?;
        expect(&r.delete(&format!("/v2/{name}/manifests/{digest}"))?, 202)?;
        for blob in [&b"again"[..], b"{}"] {
            expect(
                &r.delete(&format!("/v2/{name}/blobs/{}", sha256(blob)))?,
                202,
            )?;
        }
        r.image(name, "v1", &[b"again"])?;
        expect(&r.get(&format!("/v2/{name}/manifests/{digest}"))?, 200)?;
        expect(
            &r.get(&format!("/v2/{name}/blobs/{}", sha256(b"again")))?,
            200,
        )
    }),
    must("a deleted manifest is about nothing any more", |r, name| {
        let (_, subject) = r.image(name, "subject", &[])?;
        let pointer = json!({"mediaType": MANIFEST, "digest": subject, "size": 1});
        let bytes = manifest(b"{}", &[], json!({"subject": pointer}));
        let digest = sha256(&bytes);
        expect(&r.put(name, &digest, MANIFEST, &bytes)?, 201)?;
        expect(&r.delete(&format!("/v2/{name}/manifests/{digest}"))?, 202)?;
        let left = r.get(&format!("/v2/{name}/referrers/{subject}"))?;
        expect(&left, 200)?;
        ensure!(left.json()?["manifests"] == json!([]));
        Ok(())
    })
    .gap("has no referrers"),
    must(
        "nothing can be done to a repository that is not there",
        |r, name| {
            expect(
                &r.delete(&format!("/v2/{name}/none/manifests/{}", sha256(b"x")))?,
                404,
            )?;
            expect(
                &r.delete(&format!("/v2/{name}/none/blobs/{}", sha256(b"x")))?,
                404,
            )
        },
    ),
];
