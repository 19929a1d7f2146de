//! Requests nobody should send: each is refused in words or cut off, nothing is left behind, and the next one is served.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{LIMIT, Namespace, OnggiRegistry, Request, wait_until};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};

use crate::{Answers, BYTES, MANIFEST, expect, manifest, sha256};

fn strict() -> serde_json::Value {
    json!({"limits": {"head-timeout": "2s", "body-timeout": "2s", "blob": "1m", "uploads": 64, "connections": 32}})
}

/// Sends bytes as they are and reads until the end, or until the limit of the connection.
fn raw(registry: &OnggiRegistry<'_>, bytes: &[u8]) -> Result<String> {
    let mut stream = registry.connect()?;
    // Who refuses does not have to listen to the end.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(error).context("neither answered nor closed")
        }
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

/// That it still serves, and that nothing was written outside of where it should be.
fn unharmed(registry: &OnggiRegistry<'_>) -> Result<()> {
    let (bytes, _) = registry.image("after", "v1", &[b"layer"])?;
    ensure!(registry.get("/v2/after/manifests/v1")?.body == bytes);
    let mut names: Vec<_> = std::fs::read_dir(registry.folder())?
        .flatten()
        .map(|e| e.file_name())
        .collect();
    names.sort();
    ensure!(
        names == ["access.log", "config.json", "data", "log"],
        "{names:?}"
    );
    let tmp = std::fs::read_dir(registry.path("data/tmp"))?.count();
    ensure!(tmp == 0, "{tmp} files left in tmp");
    ensure!(!registry.log().contains("panic"), "{}", registry.log());
    Ok(())
}

#[test]
fn paths_that_lead_elsewhere() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &strict())?;
    let secret = registry.path("data/secret");
    std::fs::write(&secret, "secret")?;
    let digest = sha256(b"x");
    let id = "0".repeat(32);
    let long = "a".repeat(300);
    let paths = [
        "/v2/../secret".to_owned(),
        "/v2/../../../../etc/passwd".to_owned(),
        "/v2/%2e%2e/%2e%2e/secret/manifests/v1".to_owned(),
        "/v2/..%2f..%2fsecret/manifests/v1".to_owned(),
        format!("/v2/a/../../secret/blobs/{digest}"),
        "/v2/a/blobs/sha256:../../../secret".to_owned(),
        "/v2/a/blobs/sha256:%2e%2e%2fsecret".to_owned(),
        format!("/v2/a/blobs/sha256:{}", "../".repeat(21) + "x"),
        "/v2/a/blobs/../secret".to_owned(),
        "/v2/a/manifests/..".to_owned(),
        "/v2/a/manifests/%2e%2e%2f%2e%2e%2fsecret".to_owned(),
        "/v2/a/manifests/v1%00".to_owned(),
        "/v2/a%00/manifests/v1".to_owned(),
        "/v2/a%ff/manifests/v1".to_owned(),
        "/v2/a/blobs/uploads/..".to_owned(),
        "/v2/a/blobs/uploads/..%2f..%2fsecret".to_owned(),
        format!("/v2/a/blobs/uploads/{id}"),
        format!("/v2/a/blobs/uploads/{}", "g".repeat(32)),
        "/v2/a+b/tags/list".to_owned(),
        format!("/v2/{long}/tags/list"),
        "/v2//tags/list".to_owned(),
        "//v2/".to_owned(),
        "/v2/_catalog/../secret".to_owned(),
        "/v2/_catalog?n=-1".to_owned(),
        "/v2/_catalog?n=99999999999999999999999".to_owned(),
        "/v2/a/tags/list?n=x".to_owned(),
        format!("/v2/a/referrers/{}", "%2e%2e"),
    ];
    for path in &paths {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let answer = registry.ask(Request::new(method, path).body(MANIFEST, "{}"))?;
            ensure!(
                (400..500).contains(&answer.status),
                "{method} {path}: {}",
                answer.status
            );
            ensure!(
                !answer.text().contains("secret\n") && answer.text() != "secret",
                "{method} {path}"
            );
            ensure!(
                !answer.text().contains("/tmp/"),
                "{method} {path} tells of paths: {}",
                answer.text()
            );
        }
        ensure!(
            (400..500).contains(&registry.head(path)?.status),
            "HEAD {path}"
        );
    }
    ensure!(std::fs::read_to_string(&secret)? == "secret");
    unharmed(&registry)
}

#[test]
fn heads_that_never_end_or_say_nonsense() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &strict())?;
    let large = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(1 << 20)
    );
    let many = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X: y\r\n".repeat(5000)
    );
    let path = format!(
        "GET /v2/{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "a/".repeat(100_000)
    );
    for (what, bytes, expected) in [
        ("a large header", large.as_str(), &[431][..]),
        ("many headers", &many, &[431]),
        ("a long path", &path, &[414, 431]),
        ("nonsense", "hello\r\n\r\n", &[400]),
        (
            "TLS where there is none",
            "\x16\x03\x01\x02\x00\x01\x00",
            &[400],
        ),
        (
            "a bad length",
            "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
            &[400],
        ),
        (
            "two lengths",
            "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            &[400],
        ),
        (
            "no end of the head",
            "GET /v2/ HTTP/1.1\r\nHost: x\r\nX: y",
            &[408],
        ),
        ("nothing at all", "", &[408]),
    ] {
        let answer = raw(&registry, bytes.as_bytes()).with_context(|| what)?;
        // Cut off is as good.
        ensure!(
            status(&answer).is_none_or(|s| expected.contains(&s)),
            "{what}: {answer}"
        );
    }
    let host = "GET /v2/ HTTP/1.1\r\nHost: \"evil\r\nConnection: close\r\n\r\n";
    let answer = raw(&registry, host.as_bytes())?;
    ensure!(!answer.contains("evil"), "{answer}");
    unharmed(&registry)
}

#[test]
fn bodies_that_lie_stand_still_or_never_end() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &strict())?;
    let digest = sha256(b"hello");
    let upload = |length: &str, body: &str| -> Result<String> {
        let path = registry.begin("a")?;
        raw(&registry, format!("PUT {path}?digest={digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}\r\n\r\n{body}").as_bytes())
    };
    // Says more than comes: the connection stands still, and is given up.
    let short = upload("Content-Length: 10", "hello")?;
    ensure!(
        status(&short).is_none_or(|s| s == 408 || s == 400),
        "{short}"
    );
    // Says less: the rest is not part of it.
    let long = upload("Content-Length: 4", "hello")?;
    ensure!(status(&long) == Some(400), "{long}");
    let chunked = upload("Transfer-Encoding: chunked", "5\r\nhello\r\n")?;
    ensure!(
        status(&chunked).is_none_or(|s| s == 408 || s == 400),
        "{chunked}"
    );
    let garbled = upload("Transfer-Encoding: chunked", "zz\r\nhello\r\n")?;
    ensure!(status(&garbled).is_none_or(|s| s == 400), "{garbled}");
    let announced = upload("Content-Length: 99999999999", "")?;
    ensure!(status(&announced) == Some(413), "{announced}");
    expect(&registry.get(&format!("/v2/a/blobs/{digest}"))?, 404)?;
    // An endless one is cut off at the limit of a blob.
    let path = registry.begin("a")?;
    let mut stream = registry.connect()?;
    write!(
        stream,
        "PATCH {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    let chunk = [b"10000\r\n".as_slice(), &[b'a'; 65536], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 256 && stream.write_all(&chunk).is_ok() {
        sent += 1;
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    ensure!(status(&answer).is_none_or(|s| s == 413), "{answer}");
    let size = |path: &std::path::Path| -> u64 {
        std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|upload| {
                std::fs::metadata(upload.path().join("data")).map_or(0, |data| data.len())
            })
            .sum()
    };
    let kept = size(&registry.path("data/uploads"));
    ensure!(kept <= 2 << 20, "{kept} bytes kept");
    // A manifest that never ends.
    let head = format!(
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: {MANIFEST}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut stream = registry.connect()?;
    stream.write_all(head.as_bytes())?;
    let mut sent = 0;
    while sent < 256 && stream.write_all(&chunk).is_ok() {
        sent += 1;
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    ensure!(status(&answer).is_none_or(|s| s == 413), "{answer}");
    unharmed(&registry)
}

#[test]
fn manifests_that_are_bombs() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &strict())?;
    registry.blob("a", b"{}")?;
    let deep = "[".repeat(2 << 20);
    let nested = format!(
        "{{\"config\":{}{}}}",
        "{\"a\":".repeat(200_000),
        "}".repeat(200_000)
    );
    let pointer = format!("{{\"digest\":\"{}\",\"size\":1}}", sha256(b"missing"));
    let wide = format!(
        "{{\"schemaVersion\":2,\"config\":{pointer},\"layers\":[{}]}}",
        vec![pointer.as_str(); 30_000].join(",")
    );
    let index = format!(
        "{{\"schemaVersion\":2,\"manifests\":[{}]}}",
        vec![pointer.as_str(); 30_000].join(",")
    );
    let overflow = format!(
        "{{\"schemaVersion\":2,\"config\":{{\"digest\":\"{}\",\"size\":1e400}},\"layers\":[]}}",
        sha256(b"{}")
    );
    let both =
        format!("{{\"schemaVersion\":2,\"config\":{pointer},\"layers\":[],\"manifests\":[]}}");
    let traversal =
        "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:../../../secret\",\"size\":1}]}";
    let tests = [
        deep.as_str(),
        &nested,
        &wide,
        &index,
        &overflow,
        &both,
        traversal,
        "\u{0}",
        "null",
    ];
    for bytes in tests {
        let answer = registry.put("a", "v1", "application/json", bytes.as_bytes())?;
        ensure!(
            matches!(answer.status, 400 | 404 | 413),
            "{}: {}",
            &bytes[..bytes.len().min(60)],
            answer.status
        );
    }
    // About itself, in a circle.
    let one = manifest(
        b"{}",
        &[],
        json!({"subject": {"digest": sha256(b"x"), "size": 1, "mediaType": MANIFEST}}),
    );
    expect(&registry.put("a", "v1", MANIFEST, &one)?, 201)?;
    unharmed(&registry)
}

#[test]
fn more_than_is_allowed() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &strict())?;
    // Uploads: the 65th is refused until one goes.
    let begun: Vec<_> = (0..64)
        .map(|_| registry.begin("a"))
        .collect::<Result<_>>()?;
    let refused = registry.post("/v2/a/blobs/uploads/")?;
    expect(&refused, 429)?;
    expect(&registry.delete(&begun[0])?, 204)?;
    registry.begin("a")?;
    for path in &begun[1..] {
        expect(&registry.delete(path)?, 204)?;
    }
    // Connections: those that say nothing are closed, and the next one is served.
    let idle: Vec<_> = (0..40).map(|_| registry.connect()).collect::<Result<_>>()?;
    wait_until("an answer beside idle connections", LIMIT, || {
        registry.get("/v2/").ok().filter(|a| a.status == 200)
    })?;
    drop(idle);
    // A reader that does not read is given up, and holds nobody back.
    let digest = registry.blob("a", &vec![7; 1 << 20])?;
    let mut slow: Vec<_> = (0..16).map(|_| registry.connect()).collect::<Result<_>>()?;
    for stream in &mut slow {
        write!(
            stream,
            "GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        )?;
    }
    ensure!(registry.get(&format!("/v2/a/blobs/{digest}"))?.body.len() == 1 << 20);
    drop(slow);
    // A blob that is too large.
    let path = registry.begin("a")?;
    expect(
        &registry.ask(Request::new("PATCH", &path).body(BYTES, vec![0; (1 << 20) + 1]))?,
        413,
    )?;
    expect(&registry.delete(&path)?, 204)?;
    unharmed(&registry)
}
