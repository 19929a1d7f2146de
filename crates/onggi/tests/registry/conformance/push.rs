//! Push.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Request, Response};
use serde_json::json;

use super::{Must, must};
use crate::{
    Answers, BYTES, INDEX, MANIFEST, expect, index, location, manifest, refused, sha256, with,
};

/// Sends a chunk with its range.
fn chunk(r: &dyn Answers, path: &str, range: &str, bytes: &[u8]) -> Result<Response> {
    r.ask(
        Request::new("PATCH", path)
            .body(BYTES, bytes)
            .header("Content-Range", range),
    )
}

fn end(r: &dyn Answers, path: &str, digest: &str, bytes: &[u8]) -> Result<Response> {
    r.ask(Request::new("PUT", &with(path, &format!("digest={digest}"))).body(BYTES, bytes))
}

/// That the blob of this answer can be pulled where it says.
fn pulled(r: &dyn Answers, created: &Response, bytes: &[u8]) -> Result<()> {
    expect(created, 201)?;
    let answer = r.get(&location(created)?)?;
    expect(&answer, 200)?;
    ensure!(answer.body == bytes, "other bytes");
    Ok(())
}

pub(super) const MUSTS: &[Must] = &[
    must("POST begins an upload: 202, where it goes on, and its name", |r, name| {
        let begun = r.post(&format!("/v2/{name}/blobs/uploads/"))?;
        expect(&begun, 202)?;
        let path = location(&begun)?;
        ensure!(path.starts_with(&format!("/v2/{name}/blobs/uploads/")), "{path}");
        let other = r.begin(name)?;
        ensure!(path != other, "two uploads of one name");
        Ok(())
    }),
    must("PUT of everything ends it: 201, and the blob is where it says", |r, name| {
        let path = r.begin(name)?;
        pulled(r, &end(r, &path, &sha256(b"whole"), b"whole")?, b"whole")
    }),
    must("POST with a digest pushes at once: 201, or 202 and goes on as an upload", |r, name| {
        let digest = sha256(b"at once");
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let answer = r.ask(Request::new("POST", &path).body(BYTES, "at once"))?;
        if answer.status == 202 {
            return pulled(r, &end(r, &location(&answer)?, &digest, b"at once")?, b"at once");
        }
        pulled(r, &answer, b"at once")
    }),
    must("chunks go in order, each 202 with where it goes on and how far it is", |r, name| {
        let mut path = r.begin(name)?;
        for (range, bytes, far) in [("0-4", b"01234", "0-4"), ("5-9", b"56789", "0-9")] {
            let answer = chunk(r, &path, range, bytes)?;
            expect(&answer, 202)?;
            ensure!(answer.header("range") == Some(far), "{:?}", answer.header("range"));
            path = location(&answer)?;
        }
        pulled(r, &end(r, &path, &sha256(b"0123456789"), b"")?, b"0123456789")
    }),
    must("PUT may bring the last chunk", |r, name| {
        let answer = chunk(r, &r.begin(name)?, "0-4", b"01234")?;
        expect(&answer, 202)?;
        let path = with(&location(&answer)?, &format!("digest={}", sha256(b"0123456789")));
        let request = Request::new("PUT", &path).body(BYTES, "56789").header("Content-Range", "5-9");
        pulled(r, &r.ask(request)?, b"0123456789")
    }),
    must("one PATCH without a range streams everything", |r, name| {
        let answer = r.ask(Request::new("PATCH", &r.begin(name)?).body(BYTES, "stream"))?;
        expect(&answer, 202)?;
        pulled(r, &end(r, &location(&answer)?, &sha256(b"stream"), b"")?, b"stream")
    }),
    must("a chunk out of order is 416, and the upload goes on where it was", |r, name| {
        let begun = r.begin(name)?;
        expect(&chunk(r, &begun, "5-9", b"56789")?, 416)?;
        let answer = chunk(r, &begun, "0-4", b"01234")?;
        expect(&answer, 202)?;
        let path = location(&answer)?;
        // Again, and with a gap.
        expect(&chunk(r, &path, "0-4", b"01234")?, 416)?;
        let refused = chunk(r, &path, "7-9", b"789")?;
        expect(&refused, 416)?;
        ensure!(refused.header("range") == Some("0-4"));
        let answer = chunk(r, &path, "5-9", b"56789")?;
        expect(&answer, 202)?;
        pulled(r, &end(r, &location(&answer)?, &sha256(b"0123456789"), b"")?, b"0123456789")
    })
    .gap("takes bytes wherever Content-Range says, and a range that is no range"),
    must("a Content-Range that is none is 416", |r, name| {
        let path = r.begin(name)?;
        for bad in ["x", "5", "4-0", "a-b"] {
            expect(&chunk(r, &path, bad, b"01234")?, 416).with_context(|| bad)?;
        }
        Ok(())
    })
    .gap("does not look at it"),
    must("GET says how far an upload is: 204", |r, name| {
        let answer = chunk(r, &r.begin(name)?, "0-4", b"01234")?;
        let state = r.get(&location(&answer)?)?;
        expect(&state, 204)?;
        ensure!(state.header("range") == Some("0-4"));
        let path = location(&state)?;
        pulled(r, &end(r, &path, &sha256(b"0123456789"), b"56789")?, b"0123456789")
    }),
    must("DELETE cancels an upload: 204, and it is gone", |r, name| {
        let path = r.begin(name)?;
        expect(&r.delete(&path)?, 204)?;
        refused(&r.get(&path)?, 404, "BLOB_UPLOAD_UNKNOWN")?;
        refused(&end(r, &path, &sha256(b"x"), b"x")?, 404, "BLOB_UPLOAD_UNKNOWN")
    }),
    must("an upload that has ended is gone", |r, name| {
        let path = r.begin(name)?;
        expect(&end(r, &path, &sha256(b"x"), b"x")?, 201)?;
        refused(&r.get(&path)?, 404, "BLOB_UPLOAD_UNKNOWN")
    }),
    must("other bytes than the digest says are refused, and kept nowhere", |r, name| {
        let digest = sha256(b"promised");
        refused(&end(r, &r.begin(name)?, &digest, b"delivered")?, 400, "DIGEST_INVALID")?;
        expect(&r.get(&format!("/v2/{name}/blobs/{digest}"))?, 404)?;
        expect(&r.get(&format!("/v2/{name}/blobs/{}", sha256(b"delivered")))?, 404)
    }),
    must("PUT without a digest, or with one that is none, is refused", |r, name| {
        let path = r.begin(name)?;
        refused(&r.ask(Request::new("PUT", &path).body(BYTES, "x"))?, 400, "DIGEST_INVALID")?;
        refused(&end(r, &r.begin(name)?, "sha256:x", b"x")?, 400, "DIGEST_INVALID")
    }),
    must("a mount of what is there is 201, without bytes", |r, name| {
        let from = format!("{name}/from");
        let digest = r.blob(&from, b"mounted")?;
        let path = format!("/v2/{name}/to/blobs/uploads/?mount={digest}&from={from}");
        pulled(r, &r.post(&path)?, b"mounted")
    }),
    must("a mount of what is not there begins an upload: 202", |r, name| {
        let digest = sha256(b"not there");
        for from in [format!("&from={name}/none"), String::new()] {
            let answer = r.post(&format!("/v2/{name}/blobs/uploads/?mount={digest}{from}"))?;
            expect(&answer, 202)?;
            pulled(r, &end(r, &location(&answer)?, &digest, b"not there")?, b"not there")?;
            // So that the second is not there either.
            r.delete(&format!("/v2/{name}/blobs/{digest}"))?;
        }
        Ok(())
    }),
    must("a manifest is 201, and is where it says", |r, name| {
        r.blob(name, b"{}")?;
        let bytes = manifest(b"{}", &[], json!({}));
        for reference in ["v1", &sha256(&bytes)] {
            let created = r.put(name, reference, MANIFEST, &bytes)?;
            ensure!(created.header("docker-content-digest") == Some(sha256(&bytes).as_str()));
            pulled(r, &created, &bytes)?;
        }
        Ok(())
    }),
    must("the bytes of a manifest stay as they are, odd spaces and all", |r, name| {
        r.blob(name, b"{}")?;
        let mut bytes = b"\n\t ".to_vec();
        bytes.extend(manifest(b"{}", &[], json!({"annotations": {"z": "\u{e9}", "a": "1"}})));
        bytes.extend(b" \r\n\n");
        pulled(r, &r.put(name, "odd", MANIFEST, &bytes)?, &bytes)
    }),
    must("a tag goes to the manifest pushed last; the one before stays by digest", |r, name| {
        let (one, digest) = r.image(name, "latest", &[b"one"])?;
        let (two, _) = r.image(name, "latest", &[b"two"])?;
        ensure!(r.get(&format!("/v2/{name}/manifests/latest"))?.body == two);
        ensure!(r.get(&format!("/v2/{name}/manifests/{digest}"))?.body == one);
        Ok(())
    }),
    must("a manifest by a digest that is not its own is refused", |r, name| {
        r.blob(name, b"{}")?;
        let bytes = manifest(b"{}", &[], json!({}));
        refused(&r.put(name, &sha256(b"other"), MANIFEST, &bytes)?, 400, "DIGEST_INVALID")
    }),
    must("what is no manifest is 400 MANIFEST_INVALID", |r, name| {
        for bad in ["", "{", "[]", "hello"] {
            refused(&r.put(name, "bad", MANIFEST, bad.as_bytes())?, 400, "MANIFEST_INVALID").with_context(|| bad)?;
        }
        expect(&r.get(&format!("/v2/{name}/manifests/bad"))?, 404)
    }),
    must("a manifest whose blobs are missing is refused, naming them", |r, name| {
        r.blob(name, b"{}")?;
        let bytes = manifest(b"{}", &[b"missing one", b"missing two"], json!({}));
        let answer = r.put(name, "v1", MANIFEST, &bytes)?;
        ensure!(answer.status == 400 || answer.status == 404, "{}", answer.status);
        let errors = answer.json()?["errors"].take();
        ensure!(errors.as_array().is_some_and(|errors| errors.len() == 2), "{errors}");
        ensure!(errors[0]["code"] == "MANIFEST_BLOB_UNKNOWN" && errors.to_string().contains(&sha256(b"missing one")), "{errors}");
        expect(&r.get(&format!("/v2/{name}/manifests/v1"))?, 404)
    }),
    must("layers that may not be distributed need not be here", |r, name| {
        r.blob(name, b"{}")?;
        let foreign = json!([{"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "digest": sha256(b"elsewhere"), "size": 9, "urls": ["https://elsewhere.example/layer"]}]);
        let config = json!({"mediaType": "application/vnd.docker.container.image.v1+json", "digest": sha256(b"{}"), "size": 2});
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let bytes = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": foreign}).to_string();
        expect(&r.put(name, "foreign", kind, bytes.as_bytes())?, 201)
    })
    .gap("takes foreign layers only from hosts it was configured for"),
    must("Docker's manifests and lists keep their types", |r, name| {
        r.blob(name, b"{}")?;
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let bytes = manifest(b"{}", &[], json!({"mediaType": kind}));
        expect(&r.put(name, "docker", kind, &bytes)?, 201)?;
        let list_kind = "application/vnd.docker.distribution.manifest.list.v2+json";
        let entry = json!({"mediaType": kind, "digest": sha256(&bytes), "size": bytes.len(), "platform": {"os": "linux", "architecture": "amd64"}});
        let list = json!({"schemaVersion": 2, "mediaType": list_kind, "manifests": [entry]}).to_string();
        expect(&r.put(name, "list", list_kind, list.as_bytes())?, 201)?;
        for (tag, kind) in [("docker", kind), ("list", list_kind)] {
            let path = format!("/v2/{name}/manifests/{tag}");
            let answer = r.ask(Request::new("GET", &path).header("Accept", kind))?;
            expect(&answer, 200)?;
            ensure!(answer.header("content-type") == Some(kind), "{tag}");
        }
        Ok(())
    }),
    must("an index whose manifests are missing is refused", |r, name| {
        let list = index(&[b"missing"]);
        let status = r.put(name, "list", INDEX, &list)?.status;
        ensure!(status == 400 || status == 404, "{status}");
        Ok(())
    }),
    must("a type beside the manifest that is not the one in it is refused", |r, name| {
        r.blob(name, b"{}")?;
        let bytes = manifest(b"{}", &[], json!({}));
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        refused(&r.put(name, "v1", kind, &bytes)?, 400, "MANIFEST_INVALID")
    }),
    must("a manifest of 4 MiB is taken", |r, name| {
        r.blob(name, b"{}")?;
        let room = (4 << 20) - manifest(b"{}", &[], json!({"annotations": {"a": ""}})).len();
        let bytes = manifest(b"{}", &[], json!({"annotations": {"a": "x".repeat(room)}}));
        ensure!(bytes.len() == 4 << 20);
        expect(&r.put(name, "large", MANIFEST, &bytes)?, 201)
    }),
    must("a larger one is 413", |r, name| {
        r.blob(name, b"{}")?;
        let bytes = manifest(b"{}", &[], json!({"annotations": {"a": "x".repeat(4 << 20)}}));
        expect(&r.put(name, "larger", MANIFEST, &bytes)?, 413)
    })
    .gap("400 MANIFEST_INVALID"),
    must("a manifest about another one is told so by OCI-Subject, even if that is not here", |r, name| {
        r.blob(name, b"{}")?;
        let subject = sha256(b"not here");
        let about = json!({"mediaType": MANIFEST, "digest": subject, "size": 8});
        let bytes = manifest(b"{}", &[], json!({"subject": about}));
        let created = r.put(name, "note", MANIFEST, &bytes)?;
        expect(&created, 201)?;
        ensure!(created.header("oci-subject") == Some(subject.as_str()), "{:?}", created.header("oci-subject"));
        Ok(())
    })
    .gap("knows no subjects"),
    must("a name that is none is refused", |r, name| {
        for bad in ["UPPER", "a..b", "-a", "a_-b"] {
            let status = r.post(&format!("/v2/{name}/{bad}/blobs/uploads/"))?.status;
            ensure!(status == 400 || status == 404, "{bad}: {status}");
        }
        Ok(())
    }),
    must("a tag that is none is refused", |r, name| {
        r.blob(name, b"{}")?;
        let bytes = manifest(b"{}", &[], json!({}));
        for bad in [".a", "-a", &"a".repeat(129)] {
            let status = r.put(name, bad, MANIFEST, &bytes)?.status;
            ensure!(status == 400 || status == 404, "{bad}: {status}");
        }
        let longest = "a".repeat(128);
        expect(&r.put(name, &longest, MANIFEST, &bytes)?, 201)
    }),
];
