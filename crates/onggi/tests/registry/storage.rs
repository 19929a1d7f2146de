//! What is on disk, what goes, and how it ends.

use anyhow::{Result, ensure};
use onggi_testkit::{LIMIT, Namespace, OnggiRegistry, Request, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};

use crate::{
    Answers, INDEX, MANIFEST, expect, index, installed, location, manifest, run, sha256, with,
};

#[test]
fn a_repository_is_an_oci_layout_that_others_read() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let (bytes, digest) = registry.image("team/app", "v1", &[b"layer"])?;
    let layout = registry.path("data/repositories/team+app");
    let read = |name: &str| -> Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(layout.join(name))?)?)
    };
    ensure!(read("oci-layout")? == json!({"imageLayoutVersion": "1.0.0"}));
    let entry = read("index.json")?["manifests"][0].take();
    ensure!(
        entry["digest"] == digest
            && entry["annotations"]["org.opencontainers.image.ref.name"] == "v1",
        "{entry}"
    );
    let file = layout
        .join("blobs/sha256")
        .join(digest.trim_start_matches("sha256:"));
    ensure!(std::fs::read(file)? == bytes);
    if installed("skopeo") {
        let source = format!("oci:{}:v1", layout.display());
        let output = run(&namespace, "skopeo", &["inspect", "--raw", &source])?;
        ensure!(
            output.status.success() && output.stdout == bytes,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[test]
fn what_something_needs_is_not_deleted() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let (child, digest) = registry.image("a", "child", &[b"layer"])?;
    let list = index(&[&child]);
    expect(&registry.put("a", "list", INDEX, &list)?, 201)?;
    expect(
        &registry.delete(&format!("/v2/a/blobs/{}", sha256(b"layer")))?,
        405,
    )?;
    expect(&registry.delete(&format!("/v2/a/manifests/{digest}"))?, 405)?;
    expect(
        &registry.delete(&format!("/v2/a/manifests/{}", sha256(&list)))?,
        202,
    )?;
    expect(&registry.delete(&format!("/v2/a/manifests/{digest}"))?, 202)?;
    expect(
        &registry.delete(&format!("/v2/a/blobs/{}", sha256(b"layer")))?,
        202,
    )
}

#[test]
fn sparse_indexes_where_they_are_wanted() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &json!({"sparse-indexes": true}))?;
    expect(
        &registry.put("a", "list", INDEX, &index(&[b"elsewhere"]))?,
        201,
    )?;
    let bytes = manifest(b"missing", &[], json!({}));
    expect(&registry.put("a", "v1", MANIFEST, &bytes)?, 404)
}

#[test]
fn collection_takes_what_is_left_and_leaves_what_is_held() -> Result<()> {
    let namespace = Namespace::new()?;
    let keys = json!({"collect": {"interval": "1s", "grace": "1s", "untagged": "1s"}});
    let registry = OnggiRegistry::start(&namespace, 5000, &keys)?;
    let (bytes, digest) = registry.image("a", "v1", &[b"held"])?;
    let file = |repository: &str, digest: &str| {
        let name = digest.trim_start_matches("sha256:");
        registry.path(&format!("data/{repository}blobs/sha256/{name}"))
    };
    let orphan = registry.blob("b", b"orphan")?;
    wait_until("the orphan to go", LIMIT, || {
        (!file("repositories/b/", &orphan).exists() && !file("", &orphan).exists()).then_some(())
    })?;
    expect(&registry.get(&format!("/v2/b/blobs/{orphan}"))?, 404)?;
    ensure!(registry.get("/v2/a/manifests/v1")?.body == bytes);
    let held = sha256(b"held");
    expect(&registry.get(&format!("/v2/a/blobs/{held}"))?, 200)?;
    // Without its tag it goes as well.
    expect(&registry.delete("/v2/a/manifests/v1")?, 202)?;
    wait_until("the manifest and its blobs to go", LIMIT, || {
        let gone = |digest| !file("repositories/a/", digest).exists() && !file("", digest).exists();
        (gone(&digest) && gone(&held)).then_some(())
    })?;
    expect(&registry.get(&format!("/v2/a/manifests/{digest}"))?, 404)?;
    // And comes back.
    registry.image("a", "v1", &[b"held"])?;
    expect(&registry.get(&format!("/v2/a/blobs/{held}"))?, 200)
}

#[test]
fn uploads_go_on_after_a_restart_and_expire() -> Result<()> {
    let namespace = Namespace::new()?;
    let mut registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let begun = registry.begin("a")?;
    let answer = registry.ask(Request::new("PATCH", &begun).body("x/y", "hello, "))?;
    expect(&answer, 202)?;
    ensure!(registry.stop()? == 0);
    registry.run()?;
    let state = registry.get(&location(&answer)?)?;
    expect(&state, 204)?;
    ensure!(state.header("range") == Some("0-6"));
    let digest = sha256(b"hello, world");
    let path = with(&begun, &format!("digest={digest}"));
    expect(
        &registry.ask(Request::new("PUT", &path).body("x/y", "world"))?,
        201,
    )?;
    ensure!(registry.get(&format!("/v2/a/blobs/{digest}"))?.body == b"hello, world");
    let begun = registry.begin("a")?;
    ensure!(registry.stop()? == 0);
    registry.configure(&json!({"collect": {"interval": "1s", "uploads": "1s"}}))?;
    registry.run()?;
    wait_until("the upload to expire", LIMIT, || {
        registry.get(&begun).ok().filter(|a| a.status == 404)
    })?;
    ensure!(std::fs::read_dir(registry.path("data/uploads"))?.count() == 0);
    Ok(())
}

/// SIGTERM: what runs ends, new connections are refused, and what never ends is cut off.
#[test]
fn shutdown_lets_requests_end_within_a_bound() -> Result<()> {
    let namespace = Namespace::new()?;
    let mut registry = OnggiRegistry::start(&namespace, 5000, &json!({"shutdown-timeout": "60s"}))?;
    let digest = sha256(b"hello");
    let path = with(&registry.begin("a")?, &format!("digest={digest}"));
    let mut stream = registry.connect()?;
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    )?;
    // Now it waits for the body.
    let mut answer = [0; 25];
    stream.read_exact(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 100"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let ended = std::thread::scope(|scope| {
        let other = registry.connect();
        let pid = registry.pid();
        let stopping = scope.spawn(|| registry.stop());
        drop(other);
        let mut finish = || -> Result<String> {
            let log = std::path::PathBuf::from(format!("/proc/{}/net/tcp", pid.unwrap_or(0)));
            // Its listening socket (state 0A) goes first.
            wait_until("the listener to close", LIMIT, || {
                let text = std::fs::read_to_string(&log).ok()?;
                (!text
                    .lines()
                    .any(|line| line.split_whitespace().nth(3) == Some("0A")))
                .then_some(())
            })?;
            stream.write_all(b"hello")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = finish();
        (stopping.join(), answer)
    });
    let (stopped, answer) = ended;
    let answer = answer?;
    ensure!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    ensure!(matches!(stopped, Ok(Ok(0))), "{}", registry.log());
    // What never ends.
    registry.configure(&json!({"shutdown-timeout": "1s"}))?;
    registry.run()?;
    ensure!(registry.get(&format!("/v2/a/blobs/{digest}"))?.body == b"hello");
    let path = registry.begin("a")?;
    let mut stream = registry.connect()?;
    write!(
        stream,
        "PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    )?;
    stream.read_exact(&mut [0; 25])?;
    ensure!(registry.stop()? == 0);
    Ok(())
}

#[test]
fn several_addresses_a_lock_and_a_configuration_that_holds() -> Result<()> {
    let namespace = Namespace::new()?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("r.sock");
    let keys = json!({"listen": ["tcp://127.0.0.1:5000", "127.0.0.1:5001", format!("unix://{}", socket.display())]});
    let registry = OnggiRegistry::start(&namespace, 5000, &keys)?;
    registry.image("a", "v1", &[])?;
    let get = |stream: &mut dyn ReadWrite| Request::new("GET", "/v2/a/manifests/v1").send(stream);
    let mut second = namespace.run(|| std::net::TcpStream::connect("127.0.0.1:5001"))??;
    expect(&get(&mut second)?, 200)?;
    wait_until("the socket", LIMIT, || socket.exists().then_some(()))?;
    expect(
        &get(&mut std::os::unix::net::UnixStream::connect(&socket)?)?,
        200,
    )?;
    let program = onggi_testkit::Binaries::built("onggi-registry")?;
    let program = program.display().to_string();
    let storage = registry.path("data").display().to_string();
    let output = run(
        &namespace,
        &program,
        &[
            "serve",
            "--storage",
            &storage,
            "--listen",
            "tcp://127.0.0.1:5002",
        ],
    )?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        !output.status.success() && said.contains("in use by another process"),
        "{said}"
    );
    let config = folder.path().join("config.json");
    let validate = |text: &str| -> Result<(bool, String)> {
        std::fs::write(&config, text)?;
        let output = run(
            &namespace,
            &program,
            &[
                "serve",
                "--validate",
                "--config",
                &config.display().to_string(),
            ],
        )?;
        Ok((
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        ))
    };
    let (good, said) = validate("{\"listen\": [\"tcp://127.0.0.1:1\"]}")?;
    ensure!(good && said.contains("configuration OK"), "{said}");
    for (text, part) in [
        ("{\"lisen\": []}", "lisen"),
        ("{", "EOF"),
        ("{\"auth\": {\"htpasswd\": \"/nowhere\"}}", "/nowhere"),
        (
            "{\"tls\": {\"certificate\": \"/nowhere\", \"key\": \"/nowhere\"}}",
            "/nowhere",
        ),
    ] {
        let (good, said) = validate(text)?;
        ensure!(!good && said.contains(part), "{text}: {said}");
    }
    Ok(())
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}
