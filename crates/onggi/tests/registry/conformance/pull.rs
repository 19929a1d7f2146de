//! Pull.

use anyhow::ensure;
use onggi_testkit::{Request, digest_512};

use super::{Must, must};
use crate::{BYTES, INDEX, MANIFEST, expect, index, manifest, refused, sha256, with};

pub(super) const MUSTS: &[Must] = &[
    must("GET /v2/ answers 200 and says which API it is", |r, _| {
        let answer = r.get("/v2/")?;
        expect(&answer, 200)?;
        ensure!(answer.header("docker-distribution-api-version") == Some("registry/2.0"));
        Ok(())
    }),
    must(
        "a manifest comes by its tag, byte for byte, with its type and digest",
        |r, name| {
            let (bytes, digest) = r.image(name, "v1", &[b"layer"])?;
            let answer = r.get(&format!("/v2/{name}/manifests/v1"))?;
            expect(&answer, 200)?;
            ensure!(answer.body == bytes, "other bytes");
            ensure!(answer.header("content-type") == Some(MANIFEST));
            ensure!(answer.header("docker-content-digest") == Some(digest.as_str()));
            Ok(())
        },
    ),
    must("a manifest comes by its digest", |r, name| {
        let (bytes, digest) = r.image(name, "v1", &[])?;
        let answer = r.get(&format!("/v2/{name}/manifests/{digest}"))?;
        expect(&answer, 200)?;
        ensure!(answer.body == bytes, "other bytes");
        Ok(())
    }),
    must(
        "HEAD of a manifest answers 200 with size, type and digest, and no body",
        |r, name| {
            let (bytes, digest) = r.image(name, "v1", &[])?;
            for reference in ["v1", &digest] {
                let answer = r.head(&format!("/v2/{name}/manifests/{reference}"))?;
                expect(&answer, 200)?;
                ensure!(answer.header("content-length") == Some(bytes.len().to_string().as_str()));
                ensure!(answer.header("content-type") == Some(MANIFEST));
                ensure!(answer.header("docker-content-digest") == Some(digest.as_str()));
            }
            Ok(())
        },
    ),
    must("an index comes as it was pushed", |r, name| {
        let (child, _) = r.image(name, "child", &[])?;
        let list = index(&[&child]);
        expect(&r.put(name, "list", INDEX, &list)?, 201)?;
        let request = Request::new("GET", "").header("Accept", INDEX);
        let path = format!("/v2/{name}/manifests/list");
        let answer = r.ask(Request {
            path: &path,
            ..request
        })?;
        expect(&answer, 200)?;
        ensure!(answer.body == list && answer.header("content-type") == Some(INDEX));
        Ok(())
    }),
    must(
        "a manifest that is not there is 404 MANIFEST_UNKNOWN, by tag and by digest",
        |r, name| {
            r.image(name, "v1", &[])?;
            refused(
                &r.get(&format!("/v2/{name}/manifests/other"))?,
                404,
                "MANIFEST_UNKNOWN",
            )?;
            let other = sha256(b"other");
            refused(
                &r.get(&format!("/v2/{name}/manifests/{other}"))?,
                404,
                "MANIFEST_UNKNOWN",
            )?;
            expect(&r.head(&format!("/v2/{name}/manifests/other"))?, 404)
        },
    ),
    must("a repository that is not there is 404", |r, name| {
        expect(&r.get(&format!("/v2/{name}/none/manifests/v1"))?, 404)?;
        expect(&r.head(&format!("/v2/{name}/none/manifests/v1"))?, 404)
    }),
    must(
        "a blob comes by its digest, byte for byte, with its length and digest",
        |r, name| {
            let digest = r.blob(name, b"content")?;
            let answer = r.get(&format!("/v2/{name}/blobs/{digest}"))?;
            expect(&answer, 200)?;
            ensure!(answer.body == b"content");
            ensure!(answer.header("content-length") == Some("7"));
            ensure!(answer.header("docker-content-digest") == Some(digest.as_str()));
            Ok(())
        },
    ),
    must("HEAD of a blob answers 200 with its size", |r, name| {
        let digest = r.blob(name, b"content")?;
        let answer = r.head(&format!("/v2/{name}/blobs/{digest}"))?;
        expect(&answer, 200)?;
        ensure!(answer.header("content-length") == Some("7"));
        Ok(())
    }),
    must("a blob that is not there is 404 BLOB_UNKNOWN", |r, name| {
        r.blob(name, b"content")?;
        let other = sha256(b"other");
        refused(
            &r.get(&format!("/v2/{name}/blobs/{other}"))?,
            404,
            "BLOB_UNKNOWN",
        )?;
        expect(&r.head(&format!("/v2/{name}/blobs/{other}"))?, 404)
    }),
    must("a blob of another repository is 404", |r, name| {
        let digest = r.blob(&format!("{name}/one"), b"secret of one")?;
        r.blob(&format!("{name}/two"), b"content of two")?;
        expect(&r.get(&format!("/v2/{name}/two/blobs/{digest}"))?, 404)
    }),
    must("an empty blob is a blob", |r, name| {
        let digest = r.blob(name, b"")?;
        let answer = r.get(&format!("/v2/{name}/blobs/{digest}"))?;
        expect(&answer, 200)?;
        ensure!(answer.body.is_empty() && answer.header("content-length") == Some("0"));
        Ok(())
    }),
    must(
        "a range of a blob is 206 with exactly these bytes",
        |r, name| {
            let digest = r.blob(name, b"0123456789")?;
            let path = format!("/v2/{name}/blobs/{digest}");
            for (range, bytes, said) in [
                ("bytes=2-4", &b"234"[..], "bytes 2-4/10"),
                ("bytes=7-", b"789", "bytes 7-9/10"),
                ("bytes=-2", b"89", "bytes 8-9/10"),
                ("bytes=8-100", b"89", "bytes 8-9/10"),
            ] {
                let answer = r.ask(Request::new("GET", &path).header("Range", range))?;
                expect(&answer, 206)?;
                ensure!(answer.body == bytes, "{range}");
                ensure!(answer.header("content-range") == Some(said), "{range}");
            }
            Ok(())
        },
    ),
    must("a range behind the end is 416", |r, name| {
        let digest = r.blob(name, b"0123456789")?;
        let path = format!("/v2/{name}/blobs/{digest}");
        let answer = r.ask(Request::new("GET", &path).header("Range", "bytes=10-"))?;
        expect(&answer, 416)?;
        ensure!(answer.header("content-range") == Some("bytes */10"));
        Ok(())
    })
    .gap("says it has a body, and sends none"),
    must("a digest that is none is refused", |r, name| {
        r.blob(name, b"content")?;
        for bad in ["sha256:zz", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            let status = r.get(&format!("/v2/{name}/blobs/{bad}"))?.status;
            ensure!(status == 400 || status == 404, "{bad}: {status}");
        }
        Ok(())
    }),
    must("SHA-512 names blobs as well", |r, name| {
        let digest = digest_512(b"content");
        let path = with(&r.begin(name)?, &format!("digest={digest}"));
        expect(
            &r.ask(Request::new("PUT", &path).body(BYTES, "content"))?,
            201,
        )?;
        let answer = r.get(&format!("/v2/{name}/blobs/{digest}"))?;
        expect(&answer, 200)?;
        ensure!(answer.body == b"content");
        Ok(())
    }),
    must("SHA-512 names manifests as well", |r, name| {
        r.blob(name, b"{}")?;
        let bytes = manifest(b"{}", &[], serde_json::json!({}));
        let digest = digest_512(&bytes);
        expect(&r.put(name, &digest, MANIFEST, &bytes)?, 201)?;
        let answer = r.get(&format!("/v2/{name}/manifests/{digest}"))?;
        expect(&answer, 200)?;
        ensure!(answer.body == bytes);
        Ok(())
    })
    .gap("names manifests by SHA-256 alone"),
    must("who has the content is told so: 304", |r, name| {
        let digest = r.blob(name, b"content")?;
        let path = format!("/v2/{name}/blobs/{digest}");
        let tag = format!("\"{digest}\"");
        expect(
            &r.ask(Request::new("GET", &path).header("If-None-Match", tag))?,
            304,
        )
    }),
];
