//! The client against small servers that say what a test wants.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::{Client, Endpoint, Error, Options, Version};

/// A socket path of its own for each test.
fn socket(name: &str) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("onggi-client-{}-{name}.sock", std::process::id()));
    // It is there only when an earlier run with this pid was killed.
    let _ = std::fs::remove_file(&path);
    path
}

fn client(path: &Path) -> Client {
    Client::new(Endpoint::Unix(path.to_owned()), Options::default()).unwrap()
}

/// Reads the head and body of a request.
async fn request(stream: &mut BufReader<UnixStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    let mut length = 0;
    let mut chunked = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        chunked |= lower.starts_with("transfer-encoding: chunked");
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    loop {
        if !chunked {
            break;
        }
        let mut size = String::new();
        stream.read_line(&mut size).await.ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            break;
        }
    }
    Some((head, body))
}

/// Serves every connection with `answer`, which gets the head and the body; pings are answered here.
fn serve(
    path: &Path,
    version: &'static str,
    answer: impl Fn(&str, &[u8]) -> String + Send + Sync + Clone + 'static,
) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some((head, body)) = request(&mut stream).await {
                    let text = if head.contains("/_ping") {
                        format!(
                            "HTTP/1.1 200 OK\r\nApi-Version: {version}\r\nOstype: linux\r\nContent-Length: 0\r\n\r\n"
                        )
                    } else {
                        answer(&head, &body)
                    };
                    stream.get_mut().write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });
}

fn json(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn versions_are_negotiated_down() {
    let path = socket("negotiate");
    serve(&path, "1.41", |head, _| {
        json("200 OK", &format!("{:?}", head.lines().next().unwrap()))
    });
    let client = client(&path);
    assert_eq!(client.version().await.unwrap(), Version(1, 41));
    let line: String = client
        .get("/images/a/b:c/json")
        .query("x", "a b&c/d")
        .query_on("y", true)
        .query_on("z", false)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        line,
        "GET /v1.41/images/a/b:c/json?x=a%20b%26c%2Fd&y=1 HTTP/1.1"
    );
    let ping = client.ping().await.unwrap();
    assert_eq!(
        (ping.os_type.as_str(), ping.api_version),
        ("linux", Some(Version(1, 41)))
    );
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_newer_daemon_is_spoken_to_in_our_version() {
    let path = socket("newer");
    serve(&path, "1.99", |_, _| json("200 OK", "{}"));
    assert_eq!(client(&path).version().await.unwrap(), crate::NEWEST);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn refusals_come_in_the_daemons_words() {
    let path = socket("refusals");
    serve(&path, "1.55", |head, _| {
        if head.contains("/json-error") {
            json("404 Not Found", "{\"message\":\"No such container: x\"}")
        } else if head.contains("/text-error") {
            "HTTP/1.1 500 X\r\nContent-Length: 6\r\n\r\nbroken".to_owned()
        } else {
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
    });
    let client = client(&path);
    let error = client.get("/json-error").done().await.unwrap_err();
    assert!(error.is_not_found() && !error.is_connection());
    assert_eq!(
        error.to_string(),
        "Error response from daemon: No such container: x"
    );
    let error = client.get("/text-error").done().await.unwrap_err();
    assert_eq!(error.to_string(), "Error response from daemon: broken");
    let error = client.get("/empty-error").done().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Error response from daemon: request returned 503 Service Unavailable for /v1.55/empty-error, and no message"
    );
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn nobody_there_is_told_apart_from_a_broken_daemon() {
    let path = socket("nobody");
    let error = client(&path).version().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_connection());
    assert_eq!(
        error.to_string(),
        format!(
            "Cannot connect to the Docker daemon at unix://{}. Is the docker daemon running?",
            path.display()
        )
    );
    // One that closes without an answer.
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let error = client(&path).get("/x").done().await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn streams_of_json_come_value_by_value_and_may_break() {
    let path = socket("values");
    serve(&path, "1.55", |head, _| {
        let body = if head.contains("/cut") {
            "{\"a\":1}\r\n{\"a\":"
        } else {
            "{\"a\":1}\r\n{\"a\":2}{\"a\":3}\n"
        };
        json("200 OK", body)
    });
    let client = client(&path);
    let mut values = client.get("/all").send().await.unwrap().values();
    let mut found = Vec::new();
    while let Some(value) = values.next::<serde_json::Value>().await.unwrap() {
        found.push(value["a"].as_i64().unwrap());
    }
    assert_eq!(found, [1, 2, 3]);
    let mut values = client.get("/cut").send().await.unwrap().values();
    assert!(values.next::<serde_json::Value>().await.unwrap().is_some());
    assert!(matches!(
        values.next::<serde_json::Value>().await,
        Err(Error::Answer { .. })
    ));
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn bodies_can_be_streamed_and_fail_in_the_middle() {
    let path = socket("upload");
    serve(&path, "1.55", |_, body| {
        json("200 OK", &body.len().to_string())
    });
    let client = client(&path);
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    tokio::spawn(async move {
        for _ in 0..10 {
            sender
                .send(Ok(Bytes::from(vec![7; 100_000])))
                .await
                .unwrap();
        }
    });
    let request = client
        .request(Method::POST, "/load")
        .stream("application/x-tar", receiver);
    let length: usize = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(length, 1_000_000);
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    sender.send(Ok(Bytes::from_static(b"begin"))).await.unwrap();
    sender
        .send(Err(io::Error::other("disk gone")))
        .await
        .unwrap();
    drop(sender);
    let request = client
        .request(Method::POST, "/load")
        .stream("application/x-tar", receiver);
    let error = request.send().await.err().unwrap();
    assert!(error.to_string().contains("disk gone"), "{error}");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_hijacked_connection_is_closed_by_halves() {
    let path = socket("hijack");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some((head, _)) = request(&mut stream).await {
                    if head.contains("/_ping") {
                        let pong =
                            "HTTP/1.1 200 OK\r\nApi-Version: 1.55\r\nContent-Length: 0\r\n\r\n";
                        stream.get_mut().write_all(pong.as_bytes()).await.unwrap();
                        continue;
                    }
                    assert!(head.to_lowercase().contains("upgrade: tcp"), "{head}");
                    if head.contains("/refuse") {
                        let text = json("409 Conflict", "{\"message\":\"is not running\"}");
                        stream.get_mut().write_all(text.as_bytes()).await.unwrap();
                        continue;
                    }
                    // The first bytes may come in one piece with the head.
                    let text = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst;";
                    stream.get_mut().write_all(text.as_bytes()).await.unwrap();
                    let mut got = Vec::new();
                    stream.read_to_end(&mut got).await.unwrap();
                    stream.get_mut().write_all(&got).await.unwrap();
                    return;
                }
            });
        }
    });
    let client = client(&path);
    let error = client.post("/refuse").hijack().await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "Error response from daemon: is not running"
    );
    let connection = client.post("/attach").hijack().await.unwrap();
    assert_eq!(connection.multiplexed(), Some(true));
    let (mut output, mut input) = connection.split();
    input.write(b"to the end").await.unwrap();
    input.close().await.unwrap();
    let (mut all, mut buffer) = (Vec::new(), Vec::new());
    while output.read(&mut buffer).await.unwrap() > 0 {
        all.extend_from_slice(&buffer);
    }
    assert_eq!(all, b"first;to the end");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn headers_of_the_configuration_go_with_every_request() {
    let path = socket("headers");
    serve(&path, "1.41", |head, _| {
        let sent = head.to_lowercase().contains("x-meta: a b");
        json("200 OK", &sent.to_string())
    });
    let options = Options {
        headers: vec![("X-Meta".to_owned(), "a b".to_owned())],
        ..Options::default()
    };
    let client = Client::new(Endpoint::Unix(path.clone()), options).unwrap();
    let sent: bool = client
        .get("/info")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(sent);
    std::fs::remove_file(path).unwrap();
}
