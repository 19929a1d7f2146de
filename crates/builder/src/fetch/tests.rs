//! Files of a server that is not always as it should be.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::files::Selection;

/// Answers whoever asks, each path with its own words, and remembers who said who they are.
struct Server {
    address: SocketAddr,
    authorized: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: impl Fn(SocketAddr) -> Vec<(&'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers: BTreeMap<&str, String> = answers(address).into_iter().collect();
        let authorized = Arc::new(Mutex::new(Vec::new()));
        let seen = authorized.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { break };
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                for line in lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                {
                    if line.to_ascii_lowercase().starts_with("authorization:") {
                        seen.lock().unwrap().push(path.clone());
                    }
                }
                let gone =
                    "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone"
                        .to_owned();
                let answer = answers.get(path.as_str()).unwrap_or(&gone);
                // Whoever hangs up early has read enough.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self {
            address,
            authorized,
        }
    }
}

fn ok(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn moved(to: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn add(source: &str, checksum: Option<&str>, unpack: Option<bool>) -> CopyFiles {
    CopyFiles {
        input: Input::Context(None),
        sources: vec![source.to_owned(), "local".to_owned()],
        files: Vec::new(),
        destination: "/x/".to_owned(),
        chown: None,
        chmod: None,
        exclude: Vec::new(),
        parents: false,
        link: false,
        add: Some(AddOptions {
            checksum: checksum.map(str::to_owned),
            keep_git_dir: false,
            unpack,
        }),
    }
}

/// What is in `/x/` of an empty root after it.
async fn added(copy: &CopyFiles) -> Result<TempDir, String> {
    let (into, root) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let client = Client::new(onggi_registry::Config::default()).unwrap();
    let fetched = fetch(&client, &copy.sources[0], copy, into.path()).await;
    let (tree, copy) = fetched.map_err(|error| onggi_model::chain(&error))?;
    let selection = Selection::of(&tree, &copy).unwrap();
    selection.digest().unwrap();
    selection
        .place(File::open(root.path()).unwrap().as_fd())
        .unwrap();
    Ok(root)
}

const TIME: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
const SUM: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn server() -> Server {
    Server::start(|address| {
        let mut short = ok("", "hello");
        short = short.replace("Length: 5", "Length: 500");
        vec![
            ("/hello", ok(TIME, "hello")),
            ("/a%5B0%5D.txt", ok("", "hello")),
            (
                "/",
                ok(
                    "Content-Disposition: attachment; filename=\"../named\"\r\n",
                    "hello",
                ),
            ),
            ("/moved", moved("/hello")),
            (
                "/away",
                moved(&format!("http://localhost:{}/hello", address.port())),
            ),
            ("/loop", moved("/loop")),
            ("/local", moved("file:///etc/passwd")),
            ("/short", short),
        ]
    })
}

#[tokio::test]
async fn files_come_from_the_web() {
    let server = server();
    let url = |path: &str| format!("http://{}{path}", server.address);
    for (path, checksum, name, time) in [
        ("/hello", None, "hello", 784_111_777),
        ("/hello?x=1", Some(SUM), "", 0),
        ("/hello", Some(SUM), "hello", 784_111_777),
        ("/a%5B0%5D.txt", None, "a[0].txt", 0),
        ("/", None, "named", 0),
        ("/moved", Some(SUM), "moved", 784_111_777),
    ] {
        let copy = add(&url(path), checksum, None);
        let root = match added(&copy).await {
            Ok(root) => root,
            // The server knows no questions.
            Err(error) => {
                assert!(
                    name.is_empty() && error.contains("404 Not Found: gone"),
                    "{error}"
                );
                continue;
            }
        };
        let file = root.path().join("x").join(name);
        assert_eq!(fs::read_to_string(&file).unwrap(), "hello", "{path}");
        let status = fs::metadata(&file).unwrap();
        assert_eq!(
            (status.mode() & 0o7777, status.mtime()),
            (0o600, time),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_does_not_come_is_told() {
    let server = server();
    let url = |path: &str| format!("http://{}{path}", server.address);
    let other = SUM.replace("2cf", "000");
    let mismatch = format!(
        "digest mismatch for {}: {SUM} (expected: {other})",
        url("/hello")
    );
    for (path, checksum, expected) in [
        ("/nothing", None, "with status 404 Not Found: gone"),
        ("/hello", Some(other.as_str()), mismatch.as_str()),
        (
            "/hello",
            Some("sha256:1"),
            "invalid checksum digest length: sha256:1",
        ),
        ("/loop", None, "Get "),
        ("/local", None, "with status 302 Found"),
        ("/short", None, "read "),
    ] {
        let error = added(&add(&url(path), checksum, None)).await.unwrap_err();
        assert!(error.contains(expected), "{path}: {error}");
    }
}

/// Who we are is said to whom we were told to say it, and to nobody they send us to.
#[tokio::test]
async fn passwords_stay_where_they_belong() {
    let server = server();
    let source = format!("http://me:secret@{}/away", server.address);
    added(&add(&source, None, None)).await.unwrap();
    assert_eq!(*server.authorized.lock().unwrap(), ["/away"]);
    let source = format!("http://me:secret@{}/nothing", server.address);
    let error = added(&add(&source, None, None)).await.unwrap_err();
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn what_goes_together() {
    let check = |copy: &CopyFiles| match check(copy) {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    };
    let one = |source: &str, checksum| {
        let mut copy = add(source, checksum, None);
        copy.sources.truncate(1);
        copy
    };
    assert_eq!(check(&one("http://h/a", Some(SUM))), "");
    assert_eq!(check(&one("https://h/a.git", Some("0123456789"))), "");
    assert_eq!(check(&add("http://h/a", None, None)), "");
    assert_eq!(
        check(&add("http://h/a", Some(SUM), None)),
        "checksum can't be specified for multiple sources"
    );
    assert_eq!(
        check(&one("a", Some(SUM))),
        "checksum requires HTTP(S) or Git sources"
    );
    let copied = |source: &str| CopyFiles {
        add: None,
        ..one(source, None)
    };
    assert_eq!(check(&copied("a")), "");
    assert_eq!(
        check(&copied("http://h/a")),
        "source can't be a URL for COPY"
    );
    assert_eq!(
        check(&copied("git@h:a.git")),
        "source can't be a git ref for COPY"
    );
}

/// By itself an archive from the web stays one.
#[tokio::test]
async fn archives_are_unpacked_if_asked() {
    let content = tempfile::tempdir().unwrap();
    fs::write(content.path().join("inside"), "1").unwrap();
    let mut tar = Vec::new();
    let options = onggi_archive::PackOptions::default();
    onggi_archive::pack_at(content.path(), &mut tar, &options).unwrap();
    let tar = String::from_utf8(tar).unwrap();
    let server = Server::start(|_| vec![("/a.tar", ok("", &tar))]);
    let url = format!("http://{}/a.tar", server.address);
    let there = |root: &TempDir, name: &str| root.path().join("x").join(name).exists();
    let root = added(&add(&url, None, None)).await.unwrap();
    assert!(there(&root, "a.tar") && !there(&root, "inside"));
    let root = added(&add(&url, None, Some(true))).await.unwrap();
    assert!(!there(&root, "a.tar") && there(&root, "inside"));
}

#[tokio::test]
async fn contexts_come_from_the_web() {
    let content = tempfile::tempdir().unwrap();
    fs::write(content.path().join("Dockerfile"), "FROM tar").unwrap();
    let mut tar = Vec::new();
    let options = onggi_archive::PackOptions::default();
    onggi_archive::pack_at(content.path(), &mut tar, &options).unwrap();
    let tar = String::from_utf8(tar).unwrap();
    let server = Server::start(|_| {
        vec![
            ("/a", ok("", &tar)),
            ("/text", ok("", "FROM text")),
            ("/odd", ok("", "a\0b")),
        ]
    });
    let client = Client::new(onggi_registry::Config::default()).unwrap();
    for (path, expected) in [
        ("a", Ok("FROM tar")),
        ("text", Ok("FROM text")),
        ("odd", Err("it is neither an archive nor a Dockerfile")),
        ("none", Err("404 Not Found: gone")),
    ] {
        let into = TempDir::new().unwrap();
        let url = format!("http://{}/{path}", server.address);
        let tree = context(&client, &url, into.path()).await;
        match (tree, expected) {
            (Ok(tree), Ok(expected)) => {
                let text = tree.read("Dockerfile", 100).unwrap().unwrap();
                assert_eq!(text, expected.as_bytes());
            }
            (Err(error), Err(expected)) => {
                let error = onggi_model::chain(&error);
                assert!(error.ends_with(expected), "{error}");
            }
            (got, _) => panic!("{path}: {got:?}"),
        }
    }
}
