//! Where content is found: mirrors of any registry, lists of tags, searches; and registries that do not want it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use onggi_model::{ErrorKind, Fault, ImageRef, chain};
use onggi_oci::image::Descriptor;
use onggi_registry::{Auth, Client, Config, Mirror, Rule, Upload, Verify};
use support::{Content, INDEX, LAYER, Reply, Server, noise, sha256, tar_of};

fn config() -> Config {
    Config {
        backoff: Duration::from_millis(10),
        ..Config::default()
    }
}

/// What `name:latest` is, in a registry of its own.
fn holding(name: &str) -> (Content, onggi_model::Digest) {
    let mut content = Content::default();
    let (digest, _) = content.image(name, "latest", &[tar_of(&[("file", &noise(1, 100_000))])]);
    (content, digest)
}

fn serve(content: Content) -> Server {
    Server::start(move |request| content.answer(request))
}

fn rule(registry: &str, mirrors: &[(&Server, &str)], fallback: bool) -> Rule {
    let mirror = |(server, prefix): &(&Server, &str)| Mirror {
        url: server.url(""),
        prefix: (*prefix).to_owned(),
        insecure: false,
        auth_file: None,
    };
    Rule {
        registry: registry.to_owned(),
        mirrors: mirrors.iter().map(mirror).collect(),
        insecure: false,
        fallback,
    }
}

#[tokio::test]
async fn mirrors_of_any_registry_are_asked_in_order() {
    let nothing = serve(Content::default());
    let (content, digest) = holding("cache/reg.example-5000/team/app");
    let full = serve(content);
    let mirrors = [(&nothing, ""), (&full, "cache/{registry}")];
    let client = Client::new(Config {
        rules: vec![rule("*.example", &mirrors, false)],
        ..config()
    })
    .unwrap();
    let me = Auth::basic("me", "hunter2");
    let reference = ImageRef::parse("reg.example:5000/team/app").unwrap();
    let resolved = client.resolve(&reference, &me).await.unwrap();
    assert_eq!(resolved.digest, digest);
    let document = resolved.document().await.unwrap();
    let onggi_oci::image::Parsed::Manifest(manifest) = document.parse(&reference).unwrap() else {
        panic!("a manifest");
    };
    let mut blob = resolved.source.blob(&manifest.layers[0], Verify::Here);
    while blob.next().await.unwrap().is_some() {}
    assert_eq!(blob.position(), manifest.layers[0].size);
    assert_eq!(nothing.count("HEAD", "/v2/team/app/manifests/latest"), 1);
    // Nobody's secrets went to a mirror.
    let asked = [nothing.requests(), full.requests()].concat();
    assert!(
        asked
            .iter()
            .all(|request| request.authorization().is_none())
    );
    // Without the fallback nobody else is asked, and the mirror's word counts.
    let other = ImageRef::parse("reg.example:5000/team/other").unwrap();
    let error = client.resolve(&other, &me).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = "manifest for reg.example:5000/team/other:latest not found: ";
    assert!(chain(&error).starts_with(text), "{}", chain(&error));
}

#[tokio::test]
async fn a_mirror_that_is_away_is_passed_by() {
    let (content, digest) = holding("app");
    let origin = serve(content);
    let gone = serve(Content::default());
    let rules = vec![rule(&origin.host(), &[(&gone, "")], true)];
    drop(gone);
    let client = Client::new(Config { rules, ..config() }).unwrap();
    let reference = ImageRef::parse(&format!("{}/app", origin.host())).unwrap();
    let resolved = client
        .resolve(&reference, &Auth::anonymous())
        .await
        .unwrap();
    assert_eq!(resolved.digest, digest);
}

#[tokio::test]
async fn tags_come_page_by_page() {
    let server = Server::start(|request| {
        let page = |tags: &str| Reply::new(200, format!(r#"{{"name":"app","tags":{tags}}}"#));
        match request.target.as_str() {
            "/v2/" => Reply::new(200, "{}"),
            "/v2/app/tags/list" => {
                page(r#"["b","a"]"#).with("Link", "</v2/app/tags/list?last=a&n=2>; rel=\"next\"")
            }
            "/v2/app/tags/list?last=a&n=2" => page(r#"["c"]"#),
            "/v2/empty/tags/list" => page("null"),
            "/v2/loop/tags/list" => {
                page("[]").with("Link", "<http://169.254.169.254/latest>; rel=\"next\"")
            }
            _ => Reply::new(
                404,
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#,
            ),
        }
    });
    let client = Client::new(config()).unwrap();
    let tags = async |name: &str| {
        let reference = ImageRef::parse(&format!("{}/{name}", server.host())).unwrap();
        client.tags(&reference, &Auth::anonymous()).await
    };
    assert_eq!(tags("app").await.unwrap(), ["b", "a", "c"]);
    assert_eq!(tags("empty").await.unwrap(), Vec::<String>::new());
    let error = tags("nothing").await.unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "repository {}/nothing not found: name unknown: repository name not known to registry",
            server.host()
        )
    );
    assert!(chain(&tags("loop").await.unwrap_err()).contains("link-local"));
}

#[tokio::test]
async fn a_registry_is_asked_what_it_has() {
    let mut content = Content::default();
    let (one, _) = content.image_for("app", "one", &[tar_of(&[("a", b"a")])], "linux", "arm64");
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{}","size":1,"digest":"{one}","platform":{{"architecture":"arm64","os":"linux","variant":"v8"}}}}]}}"#,
        support::MANIFEST
    );
    content.manifest("app", "all", INDEX, index.as_bytes());
    let server = serve(content);
    let client = Client::new(config()).unwrap();
    let ask = async |name: &str| {
        let reference = ImageRef::parse(&format!("{}/{name}", server.host())).unwrap();
        client.inspect(&reference, &Auth::anonymous()).await
    };
    let image = ask("app:one").await.unwrap();
    assert_eq!(image.descriptor.digest, one);
    assert_eq!(image.platforms.len(), 1);
    assert_eq!(image.platforms[0].architecture, "arm64");
    let all = ask("app:all").await.unwrap();
    assert_eq!(all.descriptor.media_type, INDEX);
    assert_eq!(all.descriptor.size, index.len() as u64);
    assert_eq!(all.platforms[0].variant.as_deref(), Some("v8"));
    // In its own words, with its own status.
    let error = ask("app:nothing").await.unwrap_err();
    assert_eq!(chain(&error), "manifest unknown: manifest unknown");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_registry_is_searched() {
    let server = Server::start(|request| match request.target.as_str() {
        "/v1/_ping" => Reply::new(200, "{}"),
        "/v1/search?q=a+b&n=7" => Reply::new(
            200,
            r#"{"results":[{"name":"x","description":"d","is_official":true,"star_count":3}]}"#,
        ),
        "/v1/search?q=junk&n=7" => Reply::new(200, "<html>"),
        _ => Reply::new(404, ""),
    });
    let client = Client::new(config()).unwrap();
    let search = async |term: &str| {
        let term = format!("{}/{term}", server.host());
        client.search(&term, 7, &Auth::basic("me", "pass")).await
    };
    let found = search("a b").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].star_count), ("x", 3));
    let asked = server.requests();
    let last = asked.last().unwrap();
    assert_eq!(last.authorization(), Some("Basic bWU6cGFzcw=="));
    let words = |error: onggi_registry::Error| chain(&error);
    assert_eq!(
        words(search("c").await.unwrap_err()),
        "Unexpected status code 404"
    );
    let junk = words(search("junk").await.unwrap_err());
    assert!(
        junk.starts_with("error decoding registry search results: "),
        "{junk}"
    );
    let scheme = client.search("http://x/y", 7, &Auth::anonymous()).await;
    assert_eq!(scheme.unwrap_err().kind(), ErrorKind::InvalidParameter);
}

/// A registry that reads no body: it looks at the headers, says no, and hangs up.
fn refusing(status: u16, code: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move |stream: TcpStream| -> std::io::Result<()> {
        // A TLS hello is answered with plain words, as every HTTP server does.
        let mut first = [0];
        if stream.peek(&mut first)? == 1 && first[0] == 0x16 {
            return (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
        let mut reader = BufReader::with_capacity(1, stream.try_clone()?.take(1 << 16));
        let mut line = String::new();
        reader.read_line(&mut line)?;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
        }
        let (head, body) = match line.split(' ').next().unwrap_or_default() {
            "POST" => (
                format!("202 Accepted\r\nLocation: http://127.0.0.1:{port}/v2/app/blobs/uploads/1"),
                String::new(),
            ),
            "HEAD" => ("404 Not Found".to_owned(), String::new()),
            "GET" if line.contains("/uploads/") => {
                ("204 No Content\r\nRange: 0-0".to_owned(), String::new())
            }
            "GET" => ("200 OK".to_owned(), "{}".to_owned()),
            _ => (
                format!("{status} Refused"),
                format!(r#"{{"errors":[{{"code":"{code}","message":"not this one"}}]}}"#),
            ),
        };
        let length = body.len();
        write!(
            &stream,
            "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream);
        }
    });
    port
}

#[tokio::test]
async fn a_registry_that_refuses_early_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blob");
    // More than the buffers on the way hold.
    let bytes = noise(7, 12 << 20);
    std::fs::write(&path, &bytes).unwrap();
    for (status, code, words) in [
        (401, "UNAUTHORIZED", "unauthorized: not this one"),
        (403, "DENIED", "denied: not this one"),
        (413, "SIZE_INVALID", "size invalid: not this one"),
    ] {
        let port = refusing(status, code);
        let client = Client::new(config()).unwrap();
        let reference = ImageRef::parse(&format!("127.0.0.1:{port}/app")).unwrap();
        let target = client.target(&reference, &Auth::anonymous()).await.unwrap();
        let path = path.clone();
        let upload = Upload {
            descriptor: Descriptor::new(LAYER, sha256(&bytes), bytes.len() as u64),
            open: Arc::new(move || std::fs::File::open(&path)),
            progress: Arc::new(|_| {}),
        };
        let error = target.upload(&upload, None).await.unwrap_err();
        assert_eq!(chain(&error), words);
    }
}

#[tokio::test]
async fn registries_are_reached_by_proxies() {
    let (mut content, _) = holding("app");
    content.manifest("app", "direct", support::MANIFEST, b"{}");
    let proxy = Server::start(move |request| {
        // A proxy is asked with the whole address; it lets no tunnels through.
        let Some(rest) = request.target.strip_prefix("http://192.0.2.77:5000") else {
            return Reply::new(403, "");
        };
        content.answer(&support::Request {
            target: rest.to_owned(),
            ..request.clone()
        })
    });
    let client = |none: &str| {
        Client::new(Config {
            insecure: vec!["192.0.2.0/24".to_owned()],
            proxies: Some(onggi_registry::Proxies {
                http: proxy.url(""),
                https: proxy.url(""),
                none: none.to_owned(),
            }),
            attempts: 1,
            connect_timeout: Duration::from_millis(200),
            ..config()
        })
        .unwrap()
    };
    let far = ImageRef::parse("192.0.2.77:5000/app").unwrap();
    client("").resolve(&far, &Auth::anonymous()).await.unwrap();
    assert_eq!(proxy.count("CONNECT", "192.0.2.77:5000"), 1);
    let asked = proxy.requests().len();
    // Those that need none, by network; and this machine never does.
    let error = client("192.0.2.0/24")
        .resolve(&far, &Auth::anonymous())
        .await;
    assert!(error.is_err());
    let (content, _) = holding("app");
    let near = serve(content);
    let near = ImageRef::parse(&format!("{}/app", near.host()))
        .map(|name| (near, name))
        .unwrap();
    client("")
        .resolve(&near.1, &Auth::anonymous())
        .await
        .unwrap();
    assert_eq!(proxy.requests().len(), asked);
}
