//! A registry that counts what it sends, and sends no faster than somebody takes it: so that a test knows how much of
//! what was fetched came twice.

use crate::image::{Distribution, Image, MANIFEST, digest};
use crate::namespace::Namespace;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes sent between two looks at who takes them.
const PIECE: usize = 64 << 10;

/// Told before each piece: which blob (`sha256:...`), and how far the piece reaches. May wait; `false` breaks off.
type Pace = dyn Fn(&str, u64) -> bool + Send + Sync;

/// The running registry. Dropping it ends it.
#[derive(Debug)]
pub struct Metered {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    pace: Box<Pace>,
    /// By name.
    manifests: Mutex<BTreeMap<String, Vec<u8>>>,
    blobs: Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
    sent: AtomicU64,
    ended: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Metered {
    /// Starts one on a free port of the namespace's loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(
        namespace: &Namespace,
        pace: impl Fn(&str, u64) -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = namespace
            .run(|| TcpListener::bind("127.0.0.1:0"))?
            .context("bind")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            pace: Box::new(pace),
            manifests: Mutex::default(),
            blobs: Mutex::default(),
            sent: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        let thread = std::thread::spawn(move || server.accept(&listener));
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Has this image under this name, and every tag. Returns the bytes of its blobs.
    ///
    /// # Errors
    /// When it cannot be packed.
    pub fn add(&self, name: &str, image: &Image) -> Result<u64> {
        let Distribution { manifest, blobs } = image.distribution()?;
        let size = blobs.iter().map(|(_, data)| data.len() as u64).sum();
        lock(&self.shared.manifests).insert(name.to_owned(), manifest);
        let blobs = blobs.into_iter().map(|(name, data)| (name, Arc::new(data)));
        lock(&self.shared.blobs).extend(blobs);
        Ok(size)
    }

    /// Bytes of blobs sent so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        // Asked again and again, so that the end is noticed; errors of one client are not ours.
        let _ = listener.set_nonblocking(true);
        while !self.ended.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    let shared = Arc::clone(self);
                    std::thread::spawn(move || drop(shared.serve(&stream)));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn serve(&self, mut stream: &TcpStream) -> Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut lines = BufReader::new(stream.take(65536)).lines();
        let first = lines.next().context("no request")??;
        let mut words = first.split(' ');
        let method = words.next().context("method")?.to_owned();
        let path = words.next().context("path")?.to_owned();
        let mut from = 0;
        for line in lines {
            let line = line?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(range) = line.strip_prefix("range:") {
                let range = range.trim().trim_start_matches("bytes=");
                from = range
                    .split('-')
                    .next()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
            }
        }
        if let Some((_, name)) = path.split_once("/blobs/") {
            let found = lock(&self.blobs).get(name).cloned();
            return match found {
                Some(data) => self.blob(name, &data, from, method == "HEAD", stream),
                None => head(stream, "404 Not Found", &[], 0),
            };
        }
        let name = path
            .strip_prefix("/v2/")
            .and_then(|path| path.split_once("/manifests/"));
        let found = name.and_then(|(name, _)| lock(&self.manifests).get(name).cloned());
        match (found, path.as_str()) {
            (Some(manifest), _) => {
                let headers = [
                    ("Content-Type", MANIFEST),
                    ("Docker-Content-Digest", &digest(&manifest)),
                ];
                head(stream, "200 OK", &headers, manifest.len())?;
                if method != "HEAD" {
                    stream.write_all(&manifest)?;
                }
                Ok(())
            }
            (None, "/v2/") => head(stream, "200 OK", &[], 0),
            _ => head(stream, "404 Not Found", &[], 0),
        }
    }

    fn blob(
        &self,
        name: &str,
        data: &[u8],
        from: usize,
        only_head: bool,
        mut stream: &TcpStream,
    ) -> Result<()> {
        let rest = data.get(from..).unwrap_or_default();
        let range = format!(
            "bytes {from}-{}/{}",
            data.len().saturating_sub(1),
            data.len()
        );
        match from {
            0 => head(stream, "200 OK", &[], rest.len())?,
            _ => head(
                stream,
                "206 Partial Content",
                &[("Content-Range", &range)],
                rest.len(),
            )?,
        }
        if only_head {
            return Ok(());
        }
        let mut to = from as u64;
        for piece in rest.chunks(PIECE) {
            to += piece.len() as u64;
            if !(self.pace)(name, to) || self.ended.load(Ordering::Relaxed) {
                return Ok(());
            }
            if is_gone(stream) {
                return Ok(());
            }
            stream.write_all(piece)?;
            self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn head(mut stream: &TcpStream, line: &str, headers: &[(&str, &str)], length: usize) -> Result<()> {
    let mut text = format!("HTTP/1.1 {line}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    Ok(stream.write_all(text.as_bytes())?)
}

/// Whether the client has hung up: what is written to it then goes nowhere.
fn is_gone(stream: &TcpStream) -> bool {
    let seen = stream
        .set_nonblocking(true)
        .and_then(|()| stream.peek(&mut [0]));
    let gone = match seen {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    gone || stream.set_nonblocking(false).is_err()
}
