//! The registry we ship: the protocol word by word, clients, crashes, load, and people who mean no good.

mod clients; // skopeo and our daemon, with TLS and passwords
mod conformance; // every MUST of the specification
mod crash; // kill -9, and what is there afterwards
mod hostile; // requests nobody should send
mod load; // many clients while collection runs
mod rights; // who may do what
mod storage; // layouts on disk, deletion, collection, shutdown
mod upstream; // content fetched from elsewhere

use anyhow::{Context, Result, bail};
use onggi_testkit::{Namespace, OnggiRegistry, Request, Response};
use serde_json::{Value, json};
use std::process::Command;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What clients accept: docker-registry hides the rest.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, */*";
const BYTES: &str = "application/octet-stream";

/// Whatever answers requests.
trait Answers {
    /// Sends a request.
    fn ask(&self, request: Request<'_>) -> Result<Response>;

    fn get(&self, path: &str) -> Result<Response> {
        self.ask(Request::new("GET", path).header("Accept", ACCEPT))
    }

    fn head(&self, path: &str) -> Result<Response> {
        self.ask(Request::new("HEAD", path).header("Accept", ACCEPT))
    }

    fn delete(&self, path: &str) -> Result<Response> {
        self.ask(Request::new("DELETE", path))
    }

    fn post(&self, path: &str) -> Result<Response> {
        self.ask(Request::new("POST", path))
    }

    /// Begins an upload; where it goes on.
    fn begin(&self, name: &str) -> Result<String> {
        let begun = self.post(&format!("/v2/{name}/blobs/uploads/"))?;
        expect(&begun, 202)?;
        location(&begun)
    }

    /// Pushes a blob; its digest.
    fn blob(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let digest = sha256(bytes);
        let path = with(&self.begin(name)?, &format!("digest={digest}"));
        let ended = self.ask(Request::new("PUT", &path).body(BYTES, bytes))?;
        expect(&ended, 201)?;
        Ok(digest)
    }

    /// Pushes a manifest.
    fn put(&self, name: &str, reference: &str, kind: &str, bytes: &[u8]) -> Result<Response> {
        let path = format!("/v2/{name}/manifests/{reference}");
        self.ask(Request::new("PUT", &path).body(kind, bytes))
    }

    /// Pushes an image of a configuration and layers under a tag; its manifest and digest.
    fn image(&self, name: &str, tag: &str, layers: &[&[u8]]) -> Result<(Vec<u8>, String)> {
        let config = b"{}";
        self.blob(name, config)?;
        for layer in layers {
            self.blob(name, layer)?;
        }
        let manifest = manifest(config, layers, json!({}));
        expect(&self.put(name, tag, MANIFEST, &manifest)?, 201)?;
        let digest = sha256(&manifest);
        Ok((manifest, digest))
    }
}

impl Answers for OnggiRegistry<'_> {
    fn ask(&self, request: Request<'_>) -> Result<Response> {
        self.send(&request)
    }
}

/// A manifest of these contents, with more keys.
fn manifest(config: &[u8], layers: &[&[u8]], more: Value) -> Vec<u8> {
    let pointer = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": sha256(bytes), "size": bytes.len()});
    let layer = |bytes: &&[u8]| pointer("application/vnd.oci.image.layer.v1.tar", bytes);
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": pointer("application/vnd.oci.image.config.v1+json", config),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        document[key] = value.clone();
    }
    document.to_string().into_bytes()
}

/// An index of these manifests.
fn index(manifests: &[&[u8]]) -> Vec<u8> {
    let pointer = |bytes: &&[u8]| {
        json!({"mediaType": MANIFEST, "digest": sha256(bytes), "size": bytes.len(),
            "platform": {"os": "linux", "architecture": "amd64"}})
    };
    let manifests: Vec<_> = manifests.iter().map(pointer).collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
        .to_string()
        .into_bytes()
}

fn sha256(bytes: &[u8]) -> String {
    onggi_testkit::digest(bytes)
}

/// Fails with the whole answer unless it has this status.
fn expect(response: &Response, status: u16) -> Result<()> {
    if response.status != status {
        bail!(
            "status {} instead of {status}: {}",
            response.status,
            response.text()
        );
    }
    Ok(())
}

/// Fails unless the answer is an error of this status and code.
fn refused(response: &Response, status: u16, code: &str) -> Result<()> {
    expect(response, status)?;
    let found = response.json()?["errors"][0]["code"].take();
    if found != code {
        bail!("code {found} instead of {code}");
    }
    Ok(())
}

/// The path of `Location`, relative or absolute.
fn location(response: &Response) -> Result<String> {
    let location = response.header("location").context("no Location")?;
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => location,
    };
    Ok(path.to_owned())
}

/// A path with one more parameter.
fn with(path: &str, parameter: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}{parameter}")
}

fn is_full() -> bool {
    std::env::var_os("ONGGI_FULL").is_some()
}

/// Whether a program can be run; says why a test is skipped when it cannot.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn installed(program: &str) -> bool {
    let there = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    there
}

/// Runs a program in the namespace and gives what it printed.
fn run(namespace: &Namespace, program: &str, arguments: &[&str]) -> Result<std::process::Output> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    Ok(namespace.spawn(&mut command)?.wait_with_output()?)
}

/// Runs a program that must succeed.
fn done(namespace: &Namespace, program: &str, arguments: &[&str]) -> Result<String> {
    let output = run(namespace, program, arguments)?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}\n{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
