//! Servers to pull from: one that does what a test tells it, correct unless told otherwise, and Debian's
//! docker-registry. Used by the tests of `registry` and of `image`.

#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use onggi_model::Digest;

pub(crate) const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }
}

/// What to answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// `Content-Length` when it is not the body's: the connection then breaks off early.
    pub(crate) announced: Option<u64>,
    /// Nothing more is sent, and the connection stays open.
    pub(crate) stall: bool,
    /// The body without a length, as chunks.
    pub(crate) chunked: bool,
    /// How often the body is repeated.
    pub(crate) repeat: u64,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status,
            body: body.into(),
            repeat: 1,
            ..Reply::default()
        }
    }
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
    pub(crate) fn announcing(mut self, length: u64) -> Reply {
        self.announced = Some(length);
        self
    }
    pub(crate) fn stalling(mut self) -> Reply {
        self.stall = true;
        self
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// An HTTP server on a random loopback port. It ends when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) log: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let (seen, stopped) = (log.clone(), stop.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (handler, seen, stopped) = (handler.clone(), seen.clone(), stopped.clone());
                thread::spawn(move || {
                    let _ = serve(stream, &*handler, &seen, &stopped);
                });
            }
        });
        Server { port, log, stop }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.requests()
            .iter()
            .filter(|r| r.method == method && r.target.contains(part))
            .count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    stream: TcpStream,
    handler: &Handler,
    log: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut first = [0];
    // A TLS hello is answered with plain words, as every HTTP server does.
    if stream.peek(&mut first)? == 1 && first[0] == 0x16 {
        let mut stream = stream;
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let request = Request {
            method,
            target,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        log.lock().unwrap().push(request.clone());
        let reply = handler(&request);
        let length = reply
            .announced
            .unwrap_or(reply.body.len() as u64 * reply.repeat);
        let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
        if reply.chunked {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        if request.method == "HEAD" {
            continue;
        }
        for _ in 0..reply.repeat {
            if reply.chunked {
                write!(stream, "{:x}\r\n", reply.body.len())?;
            }
            stream.write_all(&reply.body)?;
            if reply.chunked {
                stream.write_all(b"\r\n")?;
            }
        }
        if reply.stall {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        if reply
            .announced
            .is_some_and(|length| length != reply.body.len() as u64 * reply.repeat)
        {
            return Ok(());
        }
        if reply.chunked {
            stream.write_all(b"0\r\n\r\n")?;
        }
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    Digest::sha256(hash.as_ref().try_into().unwrap())
}

/// What a registry holds.
#[derive(Default)]
pub(crate) struct Content {
    /// By `name:reference` and by `name@digest`.
    pub(crate) manifests: HashMap<String, (String, Vec<u8>)>,
    pub(crate) blobs: HashMap<String, Vec<u8>>,
}

impl Content {
    pub(crate) fn blob(&mut self, bytes: &[u8]) -> Digest {
        let digest = sha256(bytes);
        self.blobs.insert(digest.to_string(), bytes.to_vec());
        digest
    }

    pub(crate) fn manifest(
        &mut self,
        name: &str,
        tag: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Digest {
        let digest = sha256(bytes);
        for reference in [format!("{name}:{tag}"), format!("{name}:{digest}")] {
            self.manifests
                .insert(reference, (media_type.to_owned(), bytes.to_vec()));
        }
        digest
    }

    /// An image of gzip layers made from these tars; the digest of its manifest and of its configuration.
    pub(crate) fn image(&mut self, name: &str, tag: &str, layers: &[Vec<u8>]) -> (Digest, Digest) {
        self.image_for(name, tag, layers, "linux", "amd64")
    }

    pub(crate) fn image_for(
        &mut self,
        name: &str,
        tag: &str,
        layers: &[Vec<u8>],
        os: &str,
        architecture: &str,
    ) -> (Digest, Digest) {
        let diff_ids: Vec<String> = layers
            .iter()
            .map(|layer| format!("\"{}\"", sha256(layer)))
            .collect();
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"{os}","created":"2024-01-02T03:04:05Z","config":{{"Env":["PATH=/bin"],"Cmd":["sh"],"Labels":{{"made":"here"}}}},"rootfs":{{"type":"layers","diff_ids":[{}]}},"history":[{}]}}"#,
            diff_ids.join(","),
            layers
                .iter()
                .map(|_| r#"{"created":"2024-01-02T03:04:05Z","created_by":"a test"}"#)
                .collect::<Vec<_>>()
                .join(",")
        );
        let config_digest = self.blob(config.as_bytes());
        let entries: Vec<String> = layers
            .iter()
            .map(|layer| {
                let packed = gzip(layer);
                let digest = self.blob(&packed);
                format!(
                    r#"{{"mediaType":"{LAYER}","size":{},"digest":"{digest}"}}"#,
                    packed.len()
                )
            })
            .collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"{CONFIG}","size":{},"digest":"{config_digest}"}},"layers":[{}]}}"#,
            config.len(),
            entries.join(",")
        );
        (
            self.manifest(name, tag, MANIFEST, manifest.as_bytes()),
            config_digest,
        )
    }

    /// The right answer.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let path = request
            .path()
            .strip_prefix("/v2/")
            .unwrap_or(request.path());
        if path.is_empty() {
            return Reply::new(200, "{}");
        }
        if let Some((name, reference)) = path.split_once("/manifests/") {
            return match self.manifests.get(&format!("{name}:{reference}")) {
                Some((media_type, bytes)) => Reply::new(200, bytes.clone())
                    .with("Content-Type", media_type.clone())
                    .with("Docker-Content-Digest", sha256(bytes).to_string()),
                None => unknown("MANIFEST_UNKNOWN", "manifest unknown"),
            };
        }
        let blob = path
            .split_once("/blobs/")
            .and_then(|(_, digest)| self.blobs.get(digest));
        let Some(blob) = blob else {
            return unknown("BLOB_UNKNOWN", "blob unknown to registry");
        };
        let from: Option<usize> = request.header("range").and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        });
        match from {
            Some(from) if from < blob.len() => Reply::new(206, &blob[from..]).with(
                "Content-Range",
                format!("bytes {from}-{}/{}", blob.len() - 1, blob.len()),
            ),
            _ => Reply::new(200, blob.clone()),
        }
    }
}

pub(crate) fn unknown(code: &str, message: &str) -> Reply {
    Reply::new(
        404,
        format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#),
    )
    .with("Content-Type", "application/json")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar of these files.
pub(crate) fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        if let Some(directory) = path.strip_suffix('/') {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            header.set_mtime(1_700_000_000);
            builder
                .append_data(&mut header, directory, io::empty())
                .unwrap();
            continue;
        }
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Debian's docker-registry on a random loopback port, with a store of its own. It ends when dropped.
pub(crate) struct DockerRegistry {
    pub(crate) port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl DockerRegistry {
    /// `None`, with the reason printed by the caller, where the package is not installed.
    pub(crate) fn start() -> Option<DockerRegistry> {
        DockerRegistry::start_with("")
    }

    /// With further lines below `http:` in its configuration.
    pub(crate) fn start_with(http: &str) -> Option<DockerRegistry> {
        if !std::path::Path::new("/usr/bin/docker-registry").exists() {
            return None;
        }
        for _ in 0..5 {
            // The port may be taken between here and there; then another one.
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let folder = tempfile::tempdir().unwrap();
            let config = folder.path().join("config.yml");
            let store = folder.path().join("store");
            let text = format!(
                "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n{http}",
                store.display()
            );
            std::fs::write(&config, text).unwrap();
            let mut child = Command::new("/usr/bin/docker-registry")
                .arg("serve")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while Instant::now() < deadline {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(DockerRegistry {
                        port,
                        child,
                        _folder: folder,
                    });
                }
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("docker-registry does not start");
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Copies an image with skopeo: `source` as skopeo names it.
    pub(crate) fn push(&self, source: &str, name: &str, extra: &[&str]) {
        let output = Command::new("skopeo")
            .args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
            ])
            .args(extra)
            .arg(source)
            .arg(format!("docker://{}/{name}", self.host()))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "skopeo: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An OCI layout in `folder` with one image of gzip layers, tagged `tag`.
pub(crate) fn oci_layout(folder: &std::path::Path, tag: &str, layers: &[Vec<u8>]) {
    let mut content = Content::default();
    let (manifest, _) = content.image("x", "y", layers);
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let bytes = &content.manifests[&format!("x:{manifest}")].1;
    // OCI's own types, so that skopeo keeps the bytes.
    let bytes = String::from_utf8(bytes.clone())
        .unwrap()
        .replace(MANIFEST, "application/vnd.oci.image.manifest.v1+json")
        .replace(CONFIG, "application/vnd.oci.image.config.v1+json")
        .replace(LAYER, "application/vnd.oci.image.layer.v1.tar+gzip");
    let digest = sha256(bytes.as_bytes());
    content
        .blobs
        .insert(digest.to_string(), bytes.clone().into_bytes());
    for (digest, bytes) in &content.blobs {
        std::fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
    }
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}}}]}}"#,
        bytes.len()
    );
    std::fs::write(folder.join("index.json"), index).unwrap();
}
