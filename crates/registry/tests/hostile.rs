//! Registries that misbehave, and those that only want to know who asks.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it was skipped"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onggi_model::{Digest, ErrorKind, Fault, ImageRef, chain};
use onggi_oci::image::Descriptor;
use onggi_registry::{Auth, Chunk, Client, Config, Error, Source, Verify};
use support::{Content, LAYER, MANIFEST, Reply, Request, Server, noise, sha256, tar_of};

fn config() -> Config {
    Config {
        backoff: Duration::from_millis(10),
        stall_timeout: Duration::from_secs(3),
        connect_timeout: Duration::from_secs(5),
        ..Config::default()
    }
}

fn client() -> Client {
    Client::new(config()).unwrap()
}

fn reference(server: &Server, rest: &str) -> ImageRef {
    ImageRef::parse(&format!("{}/{rest}", server.host())).unwrap()
}

/// A registry with `app:latest` of one layer.
fn content() -> Content {
    let mut content = Content::default();
    content.image("app", "latest", &[tar_of(&[("file", &noise(1, 300_000))])]);
    content
}

/// A registry that does what `content` says unless `hook` answers.
fn hooked(hook: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let content = content();
    Server::start(move |request| hook(request).unwrap_or_else(|| content.answer(request)))
}

async fn source(client: &Client, server: &Server) -> Source {
    client
        .resolve(&reference(server, "app"), &Auth::anonymous())
        .await
        .unwrap()
        .source
}

fn blob_of(bytes: &[u8]) -> Descriptor {
    Descriptor::new(LAYER, sha256(bytes), bytes.len() as u64)
}

/// Everything a blob has to give, and how often it broke off.
async fn read(source: &Source, blob: &Descriptor) -> Result<(Vec<u8>, usize), Error> {
    let mut blob = source.blob(blob, Verify::Here);
    let (mut bytes, mut pauses) = (Vec::new(), 0);
    while let Some(chunk) = blob.next().await? {
        match chunk {
            Chunk::Data(data) => bytes.extend_from_slice(&data),
            Chunk::Retrying { .. } => pauses += 1,
        }
    }
    Ok((bytes, pauses))
}

async fn fails(server: &Server) -> Error {
    let client = client();
    match client
        .resolve(&reference(server, "app"), &Auth::anonymous())
        .await
    {
        Err(error) => error,
        Ok(resolved) => resolved.document().await.unwrap_err(),
    }
}

#[tokio::test]
async fn a_manifest_is_resolved_with_one_head_and_fetched_by_digest() {
    let server = hooked(|_| None);
    let client = client();
    let resolved = client
        .resolve(&reference(&server, "app"), &Auth::anonymous())
        .await
        .unwrap();
    assert_eq!(server.count("HEAD", "/v2/app/manifests/latest"), 1);
    assert_eq!(server.count("GET", "/manifests/"), 0);
    let document = resolved.document().await.unwrap();
    assert_eq!(sha256(&document.bytes), resolved.digest);
    assert_eq!(document.media_type.as_deref(), Some(MANIFEST));
    assert_eq!(
        server.count("GET", &format!("/manifests/{}", resolved.digest)),
        1
    );
    // The scheme was found out once.
    client
        .resolve(&reference(&server, "app"), &Auth::anonymous())
        .await
        .unwrap();
    assert_eq!(server.count("GET", "/v2/"), 2, "one ping, one manifest");
}

#[tokio::test]
async fn a_registry_without_head_or_digest_header() {
    let content = content();
    let server = Server::start(move |request| {
        if request.method == "HEAD" {
            return Reply::new(405, "");
        }
        let mut reply = content.answer(request);
        reply
            .headers
            .retain(|(name, _)| name != "Docker-Content-Digest");
        reply
    });
    let resolved = client()
        .resolve(&reference(&server, "app"), &Auth::anonymous())
        .await
        .unwrap();
    let document = resolved.document().await.unwrap();
    assert_eq!(sha256(&document.bytes), resolved.digest);
    assert_eq!(
        server.count("GET", "/manifests/"),
        1,
        "the document came with the resolution"
    );
}

#[tokio::test]
async fn nobody_listens() {
    let port = Server::start(|_| Reply::new(200, "")).port;
    // The server has ended; the port is free or at least not ours.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap().port();
    drop(listener);
    assert_ne!(port, free);
    let reference = ImageRef::parse(&format!("127.0.0.1:{free}/app")).unwrap();
    let begun = Instant::now();
    let error = client()
        .resolve(&reference, &Auth::anonymous())
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "Get \"http://127.0.0.1:{free}/v2/\": dial tcp 127.0.0.1:{free}: connect: connection refused"
        )
    );
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "a refused connection is not tried again"
    );
}

#[tokio::test]
async fn a_name_without_an_address() {
    let reference = ImageRef::parse("registry.invalid/app").unwrap();
    let error = client()
        .resolve(&reference, &Auth::anonymous())
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        "Get \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid: no such host"
    );
}

#[tokio::test]
async fn unknown_names_and_tags() {
    let server = hooked(|_| None);
    let error = client()
        .resolve(&reference(&server, "app:nope"), &Auth::anonymous())
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "manifest for {}/app:nope not found: manifest unknown: manifest unknown",
            server.host()
        )
    );
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_manifest_that_is_not_what_its_digest_says() {
    let lie = sha256(b"something else").to_string();
    let server = Server::start(move |request| match request.method.as_str() {
        "HEAD" => Reply::new(200, "").with("Docker-Content-Digest", lie.clone()),
        _ => Reply::new(200, "{}").with("Content-Type", MANIFEST),
    });
    let error = fails(&server).await;
    assert!(
        chain(&error).starts_with("manifest verification failed for digest sha256:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_manifest_of_one_gibibyte_is_refused_unread() {
    for chunked in [false, true] {
        let server = Server::start(move |request| {
            if request.method == "HEAD" {
                return Reply::new(200, "").with("Docker-Content-Digest", sha256(b"x").to_string());
            }
            let mut reply = Reply::new(200, vec![b' '; 1 << 20]).with("Content-Type", MANIFEST);
            reply.repeat = if request.path().contains("/manifests/") {
                1024
            } else {
                0
            };
            reply.chunked = chunked;
            reply
        });
        let begun = Instant::now();
        let error = fails(&server).await;
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        if !chunked {
            assert_eq!(
                error.to_string(),
                "manifest of 1073741824 bytes is larger than the limit of 4194304 bytes"
            );
        }
    }
}

#[tokio::test]
async fn documents_that_are_no_manifests() {
    let schema_one =
        r#"{"schemaVersion":1,"name":"app","tag":"latest","fsLayers":[],"history":[]}"#;
    let both = r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#;
    for (body, media_type, text) in [
        (
            schema_one,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "schema 1 support has been removed",
        ),
        (
            schema_one,
            "application/json",
            "schema 1 support has been removed",
        ),
        (both, MANIFEST, "ambiguous image document"),
        ("<html>hello</html>", MANIFEST, "malformed image document"),
    ] {
        let server = Server::start(move |_| Reply::new(200, body).with("Content-Type", media_type));
        let reference = reference(&server, "app");
        let resolved = client()
            .resolve(&reference, &Auth::anonymous())
            .await
            .unwrap();
        let error = resolved
            .document()
            .await
            .unwrap()
            .parse(&reference)
            .unwrap_err();
        assert!(chain(&error).contains(text), "{}", chain(&error));
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
    }
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_resumed() {
    let bytes = noise(7, 500_000);
    let (blob, body) = (blob_of(&bytes), bytes.clone());
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    let server = hooked(move |request| {
        if !request.path().contains("/blobs/") {
            return None;
        }
        let from: usize = request.header("range").map_or(0, |r| {
            r.trim_start_matches("bytes=")
                .trim_end_matches('-')
                .parse()
                .unwrap()
        });
        let rest = &body[from..];
        // 150,000 bytes a time, then the connection breaks.
        let part = &rest[..rest.len().min(150_000)];
        counter.fetch_add(1, Ordering::Relaxed);
        let status = if from > 0 { 206 } else { 200 };
        let reply = Reply::new(status, part).announcing(rest.len() as u64);
        Some(reply.with(
            "Content-Range",
            format!("bytes {from}-{}/{}", body.len() - 1, body.len()),
        ))
    });
    let source = source(&client(), &server).await;
    let (read, pauses) = read(&source, &blob).await.unwrap();
    assert!(read == bytes);
    assert_eq!((tries.load(Ordering::Relaxed), pauses), (4, 3));
}

#[tokio::test]
async fn a_registry_without_ranges_sends_the_blob_again() {
    let bytes = noise(8, 200_000);
    let (blob, body) = (blob_of(&bytes), bytes.clone());
    let tries = AtomicUsize::new(0);
    let server = hooked(move |request| {
        request
            .path()
            .contains("/blobs/")
            .then(|| match tries.fetch_add(1, Ordering::Relaxed) {
                0 => Reply::new(200, &body[..120_000]).announcing(body.len() as u64),
                // A range that is not the one we asked for.
                1 => Reply::new(206, &body[1..]).with("Content-Range", "bytes 1-199999/200000"),
                2 => Reply::new(416, ""),
                _ => Reply::new(200, body.clone()),
            })
    });
    let source = source(&client(), &server).await;
    // The 416 answers a request without a range here, which is the end.
    let error = read(&source, &blob).await.unwrap_err();
    assert!(chain(&error).contains("416"), "{}", chain(&error));
    let (again, _) = read(&source, &blob).await.unwrap();
    assert!(again == bytes);
}

#[tokio::test]
async fn a_truncated_blob_ends_in_an_error() {
    let bytes = noise(9, 100_000);
    let blob = blob_of(&bytes);
    let server = hooked(move |request| {
        request
            .path()
            .contains("/blobs/")
            .then(|| Reply::new(200, &bytes[..1000]).announcing(bytes.len() as u64))
    });
    let source = source(&client(), &server).await;
    let error = read(&source, &blob).await.unwrap_err();
    assert!(
        chain(&error).ends_with("unexpected EOF"),
        "{}",
        chain(&error)
    );
    assert_eq!(server.count("GET", "/blobs/"), 5, "bounded");
}

#[tokio::test]
async fn wrong_bytes_and_wrong_sizes() {
    let bytes = noise(10, 50_000);
    let blob = blob_of(&bytes);
    let mut other = bytes.clone();
    other[25_000] ^= 1;
    let server = hooked(move |request| {
        request
            .path()
            .contains("/blobs/")
            .then(|| Reply::new(200, &*other))
    });
    let here = source(&client(), &server).await;
    let error = read(&here, &blob).await.unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "filesystem layer verification failed for digest {}",
            blob.digest
        )
    );
    assert_eq!(
        server.count("GET", "/blobs/"),
        1,
        "wrong bytes are not asked for again"
    );

    for chunked in [false, true] {
        let longer = [bytes.clone(), vec![0; 1 << 20]].concat();
        let server = hooked(move |request| {
            request.path().contains("/blobs/").then(|| {
                let mut reply = Reply::new(200, &*longer);
                reply.chunked = chunked;
                reply
            })
        });
        let here = source(&client(), &server).await;
        let error = read(&here, &blob).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::BlobSize {
                    expected: 50_000,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_silent_registry_is_given_up() {
    let bytes = noise(11, 100_000);
    let blob = blob_of(&bytes);
    let server = hooked(move |request| {
        request.path().contains("/blobs/").then(|| {
            Reply::new(200, &bytes[..10])
                .announcing(bytes.len() as u64)
                .stalling()
        })
    });
    let client = Client::new(Config {
        attempts: 2,
        stall_timeout: Duration::from_millis(400),
        ..config()
    })
    .unwrap();
    let source = source(&client, &server).await;
    let begun = Instant::now();
    let error = read(&source, &blob).await.unwrap_err();
    assert!(chain(&error).contains("timeout"), "{}", chain(&error));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn errors_of_the_server_are_tried_again_and_retry_after_is_kept() {
    let failures = Arc::new(AtomicUsize::new(0));
    let counter = failures.clone();
    let server = hooked(move |request| {
        if request.method != "GET" || !request.path().contains("s/") {
            return None;
        }
        match counter.fetch_add(1, Ordering::Relaxed) {
            0 => Some(Reply::new(503, "")),
            1 => Some(Reply::new(429, "").with("Retry-After", "1")),
            _ => None,
        }
    });
    let begun = Instant::now();
    let resolved = client()
        .resolve(&reference(&server, "app"), &Auth::anonymous())
        .await
        .unwrap();
    resolved.document().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "Retry-After");
    assert_eq!(failures.load(Ordering::Relaxed), 3);

    let down = hooked(|request| {
        request
            .path()
            .contains("/app/")
            .then(|| Reply::new(500, ""))
    });
    let error = fails(&down).await;
    assert!(
        chain(&error).starts_with("received unexpected HTTP status: 500"),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let bytes = noise(12, 10_000);
    let (blob, body) = (blob_of(&bytes), bytes.clone());
    let other = Server::start(move |_| Reply::new(200, body.clone()));
    let target = other.url("/signed?secret=1");
    let server = hooked(move |request| {
        if request.authorization().is_none() {
            return Some(Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""));
        }
        request
            .path()
            .contains("/blobs/")
            .then(|| Reply::new(307, "").with("Location", target.clone()))
    });
    let auth = Auth::basic("me", "hunter2");
    let source = client()
        .resolve(&reference(&server, "app"), &auth)
        .await
        .unwrap()
        .source;
    let (read, _) = read(&source, &blob).await.unwrap();
    assert!(read == bytes);
    assert!(
        server
            .requests()
            .iter()
            .any(|r| r.authorization().is_some())
    );
    let seen = other.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].authorization(), None);
}

#[tokio::test]
async fn redirects_end() {
    let server = hooked(|request| {
        request
            .path()
            .contains("/manifests/")
            .then(|| Reply::new(302, "").with("Location", request.target.clone()))
    });
    let error = fails(&server).await;
    assert!(
        chain(&error).contains("too many of them"),
        "{}",
        chain(&error)
    );
    let server = hooked(|request| {
        request.path().contains("/manifests/").then(|| {
            Reply::new(302, "").with("Location", "http://169.254.169.254/latest/meta-data")
        })
    });
    let error = fails(&server).await;
    assert!(chain(&error).contains("link-local"), "{}", chain(&error));
}

#[tokio::test]
async fn basic_authentication() {
    let server = hooked(|request| {
        (request.authorization() != Some("Basic bWU6aHVudGVyMg=="))
            .then(|| Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""))
    });
    let client = client();
    let reference = reference(&server, "app");
    let error = client
        .resolve(&reference, &Auth::anonymous())
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "Head \"http://{}/v2/app/manifests/latest\": no basic auth credentials",
            server.host()
        )
    );
    let wrong = client
        .resolve(&reference, &Auth::basic("me", "no"))
        .await
        .unwrap_err();
    assert!(
        chain(&wrong).contains("unauthorized: authentication required"),
        "{}",
        chain(&wrong)
    );
    client
        .resolve(&reference, &Auth::basic("me", "hunter2"))
        .await
        .unwrap();
}

/// A registry with a token server at `/token`, which counts the tokens it gives.
fn with_tokens(life: Arc<AtomicUsize>) -> (Server, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let counter = given.clone();
    let port = Arc::new(AtomicUsize::new(0));
    let own = port.clone();
    let server = hooked(move |request| {
        let port = own.load(Ordering::Relaxed);
        if request.path() == "/token" {
            let ok = match request.method.as_str() {
                "POST" => request
                    .body
                    .contains("grant_type=refresh_token&refresh_token=id-token"),
                _ => matches!(
                    request.authorization(),
                    None | Some("Basic bWU6aHVudGVyMg==")
                ),
            };
            if !ok {
                return Some(Reply::new(
                    401,
                    r#"{"details":"incorrect username or password"}"#,
                ));
            }
            let number = counter.fetch_add(1, Ordering::Relaxed);
            return Some(Reply::new(
                200,
                format!(r#"{{"token":"t{number}","expires_in":300}}"#),
            ));
        }
        // Only the newest token counts when the test says that older ones are void.
        let newest = counter.load(Ordering::Relaxed).max(1) - 1;
        let oldest = life.load(Ordering::Relaxed);
        let good = (oldest..=newest)
            .any(|n| request.authorization() == Some(format!("Bearer t{n}").as_str()));
        (!good).then(|| {
            Reply::new(
                401,
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
            )
            .with(
                "WWW-Authenticate",
                format!(r#"Bearer realm="http://127.0.0.1:{port}/token",service="test""#),
            )
        })
    });
    port.store(server.port.into(), Ordering::Relaxed);
    (server, given)
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_refused() {
    let oldest = Arc::new(AtomicUsize::new(0));
    let (server, given) = with_tokens(oldest.clone());
    let client = client();
    let reference = reference(&server, "app");
    let resolved = client
        .resolve(&reference, &Auth::anonymous())
        .await
        .unwrap();
    let document = resolved.document().await.unwrap();
    let onggi_oci::image::Parsed::Manifest(manifest) = document.parse(&reference).unwrap() else {
        panic!("a manifest")
    };
    let (config, layer) = tokio::join!(
        resolved.source.bytes(&manifest.config, "image config"),
        read(&resolved.source, &manifest.layers[0])
    );
    config.unwrap();
    layer.unwrap();
    assert_eq!(
        given.load(Ordering::Relaxed),
        1,
        "one token for a whole pull"
    );
    let asked = server
        .requests()
        .into_iter()
        .find(|r| r.path() == "/token")
        .unwrap();
    assert!(
        asked.target.contains("scope=repository%3Aapp%3Apull"),
        "{}",
        asked.target
    );
    assert!(asked.target.contains("service=test"), "{}", asked.target);
    // The server forgets the token: a new one, and nobody notices.
    oldest.store(1, Ordering::Relaxed);
    resolved
        .source
        .bytes(&manifest.config, "image config")
        .await
        .unwrap();
    assert_eq!(given.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn tokens_for_users_and_for_earlier_logins() {
    let (server, _) = with_tokens(Arc::default());
    let client = client();
    let reference = reference(&server, "app");
    client
        .resolve(&reference, &Auth::basic("me", "hunter2"))
        .await
        .unwrap();
    let asked = server.requests();
    let token = asked.iter().find(|r| r.path() == "/token").unwrap();
    assert!(token.target.contains("account=me"));
    let error = client
        .resolve(&reference, &Auth::basic("me", "wrong"))
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "Head \"http://{}/v2/app/manifests/latest\": unauthorized: incorrect username or password",
            server.host()
        )
    );
    let identity = Auth {
        identity_token: "id-token".to_owned().into(),
        ..Auth::default()
    };
    client.resolve(&reference, &identity).await.unwrap();
    let posted = server
        .requests()
        .into_iter()
        .find(|r| r.method == "POST")
        .unwrap();
    assert!(
        posted.body.contains("scope=repository%3Aapp%3Apull"),
        "{}",
        posted.body
    );
    let ready = Auth {
        registry_token: "t0".to_owned().into(),
        ..Auth::default()
    };
    client.resolve(&reference, &ready).await.unwrap();
    // Passwords went to the token server only.
    for request in server.requests().iter().filter(|r| r.path() != "/token") {
        assert!(
            request
                .authorization()
                .is_none_or(|a| a.starts_with("Bearer ")),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn access_denied_reads_as_dockers() {
    let port = Arc::new(AtomicUsize::new(0));
    let own = port.clone();
    let server = Server::start(move |request| {
        if request.path() == "/token" {
            return Reply::new(200, r#"{"access_token":"t"}"#);
        }
        let port = own.load(Ordering::Relaxed);
        let error = if request.authorization().is_some() {
            r#",error="insufficient_scope""#
        } else {
            ""
        };
        Reply::new(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        )
        .with(
            "WWW-Authenticate",
            format!(r#"Bearer realm="http://127.0.0.1:{port}/token",service="s"{error}"#),
        )
    });
    port.store(server.port.into(), Ordering::Relaxed);
    let error = fails(&server).await;
    assert_eq!(
        chain(&error),
        format!(
            "pull access denied for {}/app, repository does not exist or may require 'docker login': \
             denied: requested access to the resource is denied",
            server.host()
        )
    );
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn mirrors_in_order_then_on_to_the_next() {
    let broken = Server::start(|_| Reply::new(500, ""));
    let mut half = Content::default();
    let layer = tar_of(&[("file", b"x")]);
    half.image("hub/library/app", "latest", std::slice::from_ref(&layer));
    half.blobs.clear();
    let half = Server::start(move |request| {
        // It lives below a path.
        match request.path().strip_prefix("/hub/v2/") {
            Some(rest) => {
                let inner = Request {
                    target: format!("/v2/hub/{rest}"),
                    ..request.clone()
                };
                half.answer(&inner)
            }
            None => Reply::new(404, ""),
        }
    });
    let mut full = Content::default();
    full.image("library/app", "latest", std::slice::from_ref(&layer));
    let full = Server::start(move |request| full.answer(request));
    let client = Client::new(Config {
        mirrors: vec![broken.url(""), half.url("/hub/"), full.url("")],
        ..config()
    })
    .unwrap();
    let reference = ImageRef::parse("app").unwrap();
    let auth = Auth::basic("me", "hunter2");
    let resolved = client.resolve(&reference, &auth).await.unwrap();
    assert_eq!(
        half.count("HEAD", "/hub/v2/library/app/manifests/latest"),
        1
    );
    assert_eq!(full.requests().len(), 0);
    let document = resolved.document().await.unwrap();
    let onggi_oci::image::Parsed::Manifest(manifest) = document.parse(&reference).unwrap() else {
        panic!("a manifest")
    };
    // The second mirror has lost its blobs; the third has them.
    read(&resolved.source, &manifest.layers[0]).await.unwrap();
    assert_eq!(full.count("GET", "/blobs/"), 1);
    for server in [&broken, &half, &full] {
        assert!(
            server
                .requests()
                .iter()
                .all(|r| r.authorization().is_none())
        );
    }
}

#[tokio::test]
async fn a_digest_is_not_looked_up() {
    let server = hooked(|_| None);
    let digest: Digest = sha256(b"nothing has this");
    let reference = ImageRef::parse(&format!("{}/app@{digest}", server.host())).unwrap();
    let resolved = client()
        .resolve(&reference, &Auth::anonymous())
        .await
        .unwrap();
    assert!(server.requests().is_empty());
    let error = resolved.document().await.unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "manifest for {}/app@{digest} not found: manifest unknown: manifest unknown",
            server.host()
        )
    );
}
