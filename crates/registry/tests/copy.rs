//! Images from one repository to another one, at registries that mount blobs and at some that do not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onggi_model::{ImageRef, chain};
use onggi_registry::{Auth, Client, Config};
use support::{Content, Reply, Request, Server, noise, tar_of};

/// How a registry answers a request to mount.
#[derive(Clone, Copy, PartialEq)]
enum Mounts {
    Yes,
    /// It opens an upload instead.
    Uploads,
    /// It does not know of such a thing.
    Refused,
}

/// What came to `to`, by the digest it was sent under.
type Sent = Arc<Mutex<BTreeMap<String, usize>>>;

/// A registry with the image `from:latest`, which `to` may be given.
fn registry(mounts: Mounts, content: Content) -> (Server, Sent) {
    let sent = Sent::default();
    let got = sent.clone();
    let uploads = Mutex::new(0);
    let server = Server::start(move |request: &Request| {
        let query = request
            .target
            .split_once('?')
            .map_or("", |(_, query)| query);
        let place = || {
            let mut uploads = uploads.lock().unwrap();
            *uploads += 1;
            Reply::new(202, "").with("Location", format!("/v2/to/blobs/uploads/{uploads}"))
        };
        match request.method.as_str() {
            "POST" if query.starts_with("mount=") => match mounts {
                Mounts::Yes => Reply::new(201, ""),
                Mounts::Uploads => place(),
                Mounts::Refused => Reply::new(
                    405,
                    r#"{"errors":[{"code":"UNSUPPORTED","message":"no mounts here"}]}"#,
                ),
            },
            "POST" => place(),
            "PATCH" => Reply::new(202, "").with("Location", request.target.clone()),
            "PUT" => {
                let digest = query.replace("digest=", "").replace("%3A", ":");
                got.lock().unwrap().insert(digest, request.body.len());
                Reply::new(201, "")
            }
            _ if request.target.starts_with("/v2/to/") => Reply::new(404, ""),
            _ => content.answer(request),
        }
    });
    (server, sent)
}

async fn copy(server: &Server) -> Result<(), onggi_registry::Error> {
    let client = Client::new(Config {
        backoff: Duration::from_millis(10),
        ..Config::default()
    })
    .unwrap();
    let name = |name: &str| ImageRef::parse(&format!("{}/{name}", server.host())).unwrap();
    let found = client.fetch(&name("from"), &Auth::anonymous()).await?;
    let target = client.target(&name("to"), &Auth::anonymous()).await?;
    let document = found.document().await?;
    target.copy_image(&found.source, &document).await
}

fn content() -> (Content, onggi_model::Digest) {
    let mut content = Content::default();
    // More than is sent in one request.
    let layers = [tar_of(&[("a", b"a")]), tar_of(&[("b", &noise(3, 3 << 20))])];
    let (digest, _) = content.image("from", "latest", &layers);
    (content, digest)
}

#[tokio::test]
async fn what_is_not_mounted_is_fetched_and_sent() {
    for mounts in [Mounts::Yes, Mounts::Uploads, Mounts::Refused] {
        let (content, digest) = content();
        let blobs: Vec<String> = content.blobs.keys().cloned().collect();
        let (server, sent) = registry(mounts, content);
        copy(&server).await.unwrap();
        let mut sent: Vec<String> = sent.lock().unwrap().keys().cloned().collect();
        // The manifest comes by its path.
        sent.retain(|digest| !digest.is_empty());
        let fetched = server.count("GET", "/v2/from/blobs/");
        match mounts {
            Mounts::Yes => assert!(sent.is_empty() && fetched == 0),
            _ => {
                let mut blobs = blobs;
                blobs.sort();
                assert_eq!(sent, blobs);
                assert_eq!(fetched, blobs.len());
            }
        }
        // A registry that opens an upload where it does not mount is asked for no second one.
        let begun = server.count("POST", "/v2/to/blobs/uploads/") - server.count("POST", "mount=");
        assert_eq!(begun > 0, mounts == Mounts::Refused);
        assert_eq!(
            server.count("PUT", &format!("/v2/to/manifests/{digest}")),
            1
        );
    }
}

#[tokio::test]
async fn a_blob_with_other_bytes_goes_nowhere() {
    let (mut content, _) = content();
    let big = content
        .blobs
        .iter_mut()
        .max_by_key(|(_, b)| b.len())
        .unwrap();
    let digest = big.0.clone();
    big.1[100_000] ^= 1;
    let (server, sent) = registry(Mounts::Refused, content);
    let text = chain(&copy(&server).await.unwrap_err());
    let begins = format!("failed to copy blob {digest} from {}/from: ", server.host());
    assert!(text.starts_with(&begins), "{text}");
    assert!(!sent.lock().unwrap().contains_key(&digest));
    assert_eq!(server.count("PUT", "/v2/to/manifests/"), 0);
}
