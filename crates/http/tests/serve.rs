//! The loop against real sockets: keep-alive, hijacking both ways, half-close, hang-ups, TLS, shutdown.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as it does")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use onggi_http::{
    ClientTls, Listener, Peer, Request, Response, ServerTls, Stream, Target, body, connect, hijack,
    serve,
};
use onggi_rt::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

struct Fixture {
    directory: tempfile::TempDir,
    shutdown: Shutdown,
    running: tokio::task::JoinHandle<()>,
    /// Handlers of `/wait` that are alive.
    waiting: Arc<AtomicUsize>,
}

struct Count(Arc<AtomicUsize>);
impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn handle(request: Request, waiting: Arc<AtomicUsize>) -> Response {
    let (parts, incoming) = request.into_parts();
    match parts.uri.path() {
        "/peer" => {
            let peer = parts.extensions.get::<Peer>().copied().unwrap();
            http::Response::new(body::full(format!("{peer:?}")))
        }
        "/echo" => match body::read(incoming, 1000).await {
            Ok(bytes) => http::Response::new(body::full(bytes)),
            Err(error) => http::Response::builder()
                .status(413)
                .body(body::full(error.to_string()))
                .unwrap(),
        },
        "/stream" => {
            let (send, receive) = mpsc::channel(1);
            tokio::spawn(async move {
                for piece in ["one", "two", "three"] {
                    send.send(Bytes::from(piece)).await.unwrap();
                }
            });
            http::Response::new(body::channel(receive))
        }
        "/slow" => {
            // Both the head and the rest of the body come after a client's end would have been seen.
            let pause = || tokio::time::sleep(Duration::from_millis(50));
            pause().await;
            http::Response::new(body::later(async move {
                pause().await;
                Bytes::from("late")
            }))
        }
        "/wait" => {
            waiting.fetch_add(1, Ordering::SeqCst);
            let _count = Count(waiting);
            std::future::pending::<Response>().await
        }
        "/attach" => {
            drop(incoming);
            let mut response = hijack(
                &parts.headers,
                "application/vnd.docker.raw-stream",
                |mut io| async move {
                    // Everything until the client's half-close, then an answer.
                    let mut all = Vec::new();
                    io.read_to_end(&mut all).await.unwrap();
                    all.make_ascii_uppercase();
                    io.write_all(&all).await.unwrap();
                    io.shutdown().await.unwrap();
                },
            );
            response
                .headers_mut()
                .insert("api-version", "1.55".parse().unwrap());
            response
        }
        "/hold" => hijack(
            &parts.headers,
            "application/octet-stream",
            |io| async move {
                let _io = io;
                std::future::pending().await
            },
        ),
        _ => http::Response::builder()
            .status(404)
            .body(body::empty())
            .unwrap(),
    }
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = Listener::unix(&directory.path().join("s"), 0o660, None).unwrap();
        Self::with(directory, listener)
    }

    fn with(directory: tempfile::TempDir, listener: Listener) -> Self {
        let (shutdown, waiting) = (Shutdown::new(), Arc::new(AtomicUsize::new(0)));
        let counter = waiting.clone();
        let handler = move |request| handle(request, counter.clone());
        let served = serve(listener, handler, shutdown.clone(), Duration::from_secs(5));
        let running = tokio::spawn(served);
        Self {
            directory,
            shutdown,
            running,
            waiting,
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    async fn connect(&self) -> Stream {
        connect(&Target::Unix(self.socket())).await.unwrap()
    }
}

async fn until(condition: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(tokio::time::Instant::now() < end, "condition not reached");
        tokio::task::yield_now().await;
    }
}

/// Reads the head of an answer and leaves the rest.
async fn head(stream: &mut Stream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn answers_on_a_connection_that_is_kept() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.connect().await;
    for _ in 0..3 {
        stream
            .write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
            .await
            .unwrap();
        let head = head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
    }
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
        .await
        .unwrap();
    let head = head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
}

#[tokio::test]
async fn knows_who_asks_and_sets_the_mode() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new().await;
    let mode = std::fs::metadata(fixture.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut stream = fixture.connect().await;
    stream
        .write_all(b"GET /peer HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert!(answer.contains(&format!("Unix {{ uid: {uid}")), "{answer}");
    assert!(
        answer.contains(&format!("pid: Some({})", std::process::id())),
        "{answer}"
    );
}

#[tokio::test]
async fn streams_pieces() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.connect().await;
    stream
        .write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.ends_with("3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"),
        "{answer}"
    );
}

/// Attaches with these headers, sends input at once and after the head, half-closes, reads to the end.
async fn attach(stream: &mut Stream, headers: &str) -> (String, String) {
    let request = format!("POST /attach HTTP/1.1\r\nHost: x\r\n{headers}\r\nahead ");
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = head(stream).await;
    stream.write_all(b"after").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    (head, rest)
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: tcp\r\n";

#[tokio::test]
async fn hijacks_with_upgrade() {
    let fixture = Fixture::new().await;
    let (head, rest) = attach(&mut fixture.connect().await, UPGRADE).await;
    assert_eq!(
        head,
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: 1.55\r\n\r\n"
    );
    assert_eq!(rest, "AHEAD AFTER");
}

#[tokio::test]
async fn hijacks_plainly_and_after_other_requests() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.connect().await;
    stream
        .write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let first = head(&mut stream).await;
    assert!(first.starts_with("HTTP/1.1 404 Not Found\r\n"), "{first}");
    let (head, rest) = attach(&mut stream, "Content-Length: 0\r\n").await;
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\nApi-Version: 1.55\r\n\r\n"
    );
    assert_eq!(rest, "AHEAD AFTER");
}

/// The client sends its body after the answer: it must still be able to, and to read the answer.
#[tokio::test]
async fn a_body_that_nobody_reads_does_not_reset_the_connection() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.connect().await;
    stream
        .write_all(
            b"POST /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8\r\n\r\nhalf",
        )
        .await
        .unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    stream.write_all(b"rest").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("}"), "{answer}");
}

#[tokio::test]
async fn a_client_that_closed_its_half_gets_its_answer() {
    let fixture = Fixture::new().await;
    for (path, end) in [("/peer", "}"), ("/slow", "0\r\n\r\n")] {
        let mut stream = fixture.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(end),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_request() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.connect().await;
    stream
        .write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    until(|| fixture.waiting.load(Ordering::SeqCst) == 1).await;
    drop(stream);
    until(|| fixture.waiting.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn shutting_down_ends_idle_and_hijacked_connections_and_removes_the_socket() {
    let fixture = Fixture::new().await;
    let mut idle = fixture.connect().await;
    idle.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    head(&mut idle).await;
    let mut held = fixture.connect().await;
    held.write_all(b"POST /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    head(&mut held).await;
    fixture.shutdown.trigger();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    held.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    tokio::time::timeout(Duration::from_secs(5), fixture.running)
        .await
        .unwrap()
        .unwrap();
    assert!(!fixture.directory.path().join("s").exists());
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let first = Listener::unix(&path, 0o600, None).unwrap();
    let error = Listener::unix(&path, 0o600, None).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    drop(first);
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(Listener::unix(&path, 0o600, None).is_err());
    assert!(path.exists());
}

#[tokio::test]
async fn serves_an_inherited_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let made = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let listener = Listener::from_fd(made.into(), None).unwrap();
    let fixture = Fixture::with(directory, listener);
    let (_, rest) = attach(&mut fixture.connect().await, UPGRADE).await;
    assert_eq!(rest, "AHEAD AFTER");
    let file: std::os::fd::OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    assert!(Listener::from_fd(file, None).is_err());
}

fn openssl(directory: &Path, arguments: &str) {
    let run = std::process::Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// An authority, a server and a client certificate, and a client of another authority.
fn certificates(directory: &Path) {
    std::fs::write(
        directory.join("san"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\n",
    )
    .unwrap();
    for ca in ["ca", "other"] {
        openssl(
            directory,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={ca} -keyout {ca}-key.pem -out {ca}.pem"
            ),
        );
    }
    for (name, ca) in [("server", "ca"), ("client", "ca"), ("stranger", "other")] {
        openssl(
            directory,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}-key.pem -out {name}.csr"
            ),
        );
        openssl(
            directory,
            &format!(
                "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}-key.pem -CAcreateserial -days 2 -extfile san -out {name}.pem"
            ),
        );
    }
}

async fn ask(target: &Target) -> std::io::Result<String> {
    let mut stream = connect(target).await?;
    stream
        .write_all(b"GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn tls_lets_in_whom_the_authority_knows() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let file = |name: &str| directory.path().join(name);
    let tls = ServerTls::new(
        Some(&file("ca.pem")),
        &file("server.pem"),
        &file("server-key.pem"),
    );
    let listener = Listener::tls("127.0.0.1:0", &tls.unwrap()).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let (client, key) = (file("client.pem"), file("client-key.pem"));
    let (stranger, stranger_key) = (file("stranger.pem"), file("stranger-key.pem"));
    let ca = file("ca.pem");
    let other = file("other.pem");
    let fixture = Fixture::with(directory, listener);
    let target = |ca: Option<&Path>, own: Option<(&Path, &Path)>| Target::Tls {
        host: "127.0.0.1".to_owned(),
        port,
        tls: ClientTls::new(ca, own).unwrap(),
    };
    let good = ask(&target(Some(&ca), Some((&client, &key))))
        .await
        .unwrap();
    assert!(good.contains("Tcp(127.0.0.1"), "{good}");
    assert!(ask(&target(None, Some((&client, &key)))).await.is_ok());
    assert!(ask(&target(Some(&ca), None)).await.is_err());
    assert!(
        ask(&target(Some(&ca), Some((&stranger, &stranger_key))))
            .await
            .is_err()
    );
    assert!(
        ask(&target(Some(&other), Some((&client, &key))))
            .await
            .is_err()
    );
    let plain = Target::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    };
    assert!(
        ask(&plain).await.is_err() || ask(&plain).await.is_ok_and(|text| !text.contains("200"))
    );
    let mut stream = connect(&target(Some(&ca), Some((&client, &key))))
        .await
        .unwrap();
    let (head, rest) = attach(&mut stream, UPGRADE).await;
    assert!(head.starts_with("HTTP/1.1 101 UPGRADED\r\n"), "{head}");
    assert_eq!(rest, "AHEAD AFTER");
    drop(fixture);
}

#[test]
fn bad_certificates_are_named() {
    let missing = Path::new("/nonexistent.pem");
    let error = ServerTls::new(None, missing, missing)
        .map(|_| ())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("certificate /nonexistent.pem: "),
        "{error}"
    );
}
