//! `import URL`: the daemon fetches, with the progress, the remark and the refusals of Docker's.

use super::both;
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, Layer, Request, Response};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A server for one file, in a namespace; it ends with the test's process.
fn serve(daemon: &Daemon, tar: Vec<u8>) -> Result<String> {
    let listener = daemon
        .namespace()
        .run(|| TcpListener::bind("127.0.0.1:0"))??;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that breaks off is the test's business.
            let _ = answer(stream, &tar);
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, tar: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, more, body): (_, _, &[u8]) = match path {
        "/root.tar" => ("200 OK", "", tar),
        "/there" => ("302 Found", "Location: /root.tar\r\n", b""),
        "/short" => ("200 OK", "", &tar[..tar.len() / 2]),
        "/locked" => ("401 Unauthorized", "", b"who?"),
        _ => ("404 Not Found", "", b"  nothing here\n"),
    };
    let length = if path == "/short" {
        tar.len()
    } else {
        body.len()
    };
    let head =
        format!("HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

fn import(daemon: &Daemon, query: &str) -> Result<Response> {
    daemon.send(&Request::new("POST", &format!("/images/create?{query}")))
}

#[test]
fn a_url_is_fetched_by_the_daemon() -> Result<()> {
    let noise = (0..3_000_000_u32).map(|at| (at.wrapping_mul(at) >> 9) as u8);
    let layer = Layer::new(&[
        Entry::File("etc/motd".to_owned(), 0o644, b"hello\n".to_vec()),
        Entry::File("noise".to_owned(), 0o644, noise.collect()),
    ])?;
    both(|daemon| {
        let host = serve(daemon, layer.tar().to_vec())?;
        for (name, source, message, comment) in [
            ("one", format!("http://{host}/root.tar"), "", ""),
            ("two", format!("{host}/there"), "a remark", "a remark"),
        ] {
            let query = format!(
                "fromSrc={source}&repo={name}&tag=x&message={message}&changes=CMD%20%5B%22sh%22%5D"
            );
            let answer = import(daemon, &query.replace(' ', "%20"))?.ok()?.text();
            let lines: Vec<&str> = answer.lines().collect();
            let whole = format!("http://{}", source.trim_start_matches("http://"));
            ensure!(
                lines[0] == format!("{{\"status\":\"Downloading from {whole}\"}}"),
                "{answer}"
            );
            ensure!(answer.contains("\"status\":\"Importing\""), "{answer}");
            ensure!(
                lines
                    .last()
                    .is_some_and(|line| line.starts_with("{\"status\":\"sha256:")),
                "{answer}"
            );
            let image = daemon
                .get(&format!("/images/{name}:x/json"))?
                .ok()?
                .json()?;
            let expected = match comment {
                "" => format!("Imported from {whole}"),
                comment => comment.to_owned(),
            };
            ensure!(image["Comment"] == expected.as_str(), "{image:#}");
            ensure!(image["Config"]["Cmd"][0] == "sh", "{image:#}");
            ensure!(
                image["RootFS"]["Layers"][0] == layer.diff_id().as_str(),
                "{image:#}"
            );
        }
        Ok(())
    })
}

#[test]
fn what_cannot_be_fetched_is_told_as_docker_tells_it() -> Result<()> {
    let layer = Layer::new(&[Entry::File("f".to_owned(), 0o644, vec![7; 100_000])])?;
    both(|daemon| {
        let host = serve(daemon, layer.tar().to_vec())?;
        let free = daemon
            .namespace()
            .run(|| TcpListener::bind("127.0.0.1:0"))??
            .local_addr()?;
        for (query, status, text) in [
            (
                format!("fromSrc=http://{host}/none"),
                404,
                format!("failed to GET http://{host}/none with status 404 Not Found: nothing here"),
            ),
            (
                format!("fromSrc=http://{host}/locked"),
                401,
                format!("failed to GET http://{host}/locked with status 401 Unauthorized: who?"),
            ),
            (
                format!("fromSrc=http://{free}/x"),
                500,
                format!("Get \"http://{free}/x\": dial tcp {free}: connect: connection refused"),
            ),
            (
                "fromSrc=ftp://host/file".to_owned(),
                500,
                "Get \"ftp://host/file\": unsupported protocol scheme \"ftp\"".to_owned(),
            ),
            (
                format!("fromSrc=http://{host}/root.tar&repo=UPPER"),
                400,
                // Engines do not agree on the rest.
                "invalid reference format: repository name".to_owned(),
            ),
        ] {
            let answer = import(daemon, &query)?;
            let message = answer.json()?["message"]
                .as_str()
                .context("no message")?
                .to_owned();
            ensure!(
                answer.status == status && message.starts_with(&text),
                "{query}: {} {message}",
                answer.status
            );
        }
        // What ends early is an error, and no image.
        let answer = import(daemon, &format!("fromSrc=http://{host}/short&repo=short"))?.text();
        ensure!(answer.contains("errorDetail"), "{answer}");
        ensure!(
            daemon.get("/images/short/json")?.status == 404,
            "an image is there"
        );
        Ok(())
    })
}
