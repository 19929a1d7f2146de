//! A registry that misbehaves on purpose: plain threads, one image, one kind of trouble.

use crate::image::{Distribution, Image, MANIFEST, digest};
use crate::namespace::Namespace;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The kind of trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// None: for comparison.
    Honest,
    /// Blobs end in the middle, every time.
    TruncatedBlob,
    /// Blobs end in the middle, but those asked for from there on (`Range`) are served.
    ResumableBlob,
    /// Layers halt in the middle until [`Hostile::go_on`].
    Halting,
    /// Blobs have one byte changed.
    WrongDigest,
    /// The first so many requests get status 500.
    Failing(u32),
    /// A manifest that never ends.
    EndlessManifest,
    /// A manifest that is also an index (CVE-2021-41190).
    Ambiguous,
    /// A token is demanded, given for this user and password.
    Token {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
    /// Basic authentication with this user and password.
    Basic {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
    /// Status 401 with a realm on another host that would like to have the password.
    StrangeRealm,
    /// Connections are accepted and nothing is ever said.
    Silent,
}

/// The running registry. Dropping it ends it.
#[derive(Debug)]
pub struct Hostile {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    manifest: Vec<u8>,
    blobs: Vec<(String, Vec<u8>)>,
    requests: Mutex<Vec<String>>,
    served: AtomicU32,
    going: AtomicBool,
    ended: AtomicBool,
}

/// What a client asked.
struct Asked {
    method: String,
    path: String,
    range: Option<usize>,
    authorization: Option<String>,
}

const TOKEN: &str = "a-token-of-the-hostile-registry";

impl Hostile {
    /// Serves `image` under every name and tag on a free port of the namespace's loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(namespace: &Namespace, image: &Image, behaviour: Behaviour) -> Result<Self> {
        let Distribution { manifest, blobs } = image.distribution()?;
        let listener = namespace
            .run(|| TcpListener::bind("127.0.0.1:0"))?
            .context("bind")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour,
            manifest,
            blobs,
            requests: Mutex::new(Vec::new()),
            served: AtomicU32::new(0),
            going: AtomicBool::new(false),
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

    /// Sends the other half of what [`Behaviour::Halting`] holds back, now and from now on.
    pub fn go_on(&self) {
        self.shared.going.store(true, Ordering::Relaxed);
    }

    /// Every request so far: method, path, and `auth` if it carried credentials.
    pub fn requests(&self) -> Vec<String> {
        self.shared
            .requests
            .lock()
            .map(|list| list.clone())
            .unwrap_or_default()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        // The thread looks up from its accept a few times a second.
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
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

    fn serve(&self, stream: &TcpStream) -> Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        if self.behaviour == Behaviour::Silent {
            while !self.ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        let asked = read(stream)?;
        if let Ok(mut list) = self.requests.lock() {
            let mark = if asked.authorization.is_some() {
                " auth"
            } else {
                ""
            };
            list.push(format!("{} {}{mark}", asked.method, asked.path));
        }
        self.answer(&asked, stream)
    }

    fn answer(&self, asked: &Asked, stream: &TcpStream) -> Result<()> {
        let count = self.served.fetch_add(1, Ordering::Relaxed);
        if matches!(self.behaviour, Behaviour::Failing(first) if count < first) {
            return status(stream, "500 Internal Server Error", &[], b"{\"errors\":[]}");
        }
        if let Some(refused) = self.refuse(asked, stream) {
            return refused;
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        if let Some((_, name)) = path.split_once("/blobs/") {
            return self.blob(name, asked, stream);
        }
        if path.contains("/manifests/") {
            return self.manifest(asked, stream);
        }
        match path {
            "/v2/" => status(stream, "200 OK", &[], b"{}"),
            _ => status(
                stream,
                "404 Not Found",
                &[],
                b"{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}",
            ),
        }
    }

    /// Authentication: an answer if the request may not pass.
    fn refuse(&self, asked: &Asked, stream: &TcpStream) -> Option<Result<()>> {
        let given = asked.authorization.as_deref();
        let basic = |user: &str, password: &str| {
            format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
        };
        let address = stream
            .local_addr()
            .map(|a| a.to_string())
            .unwrap_or_default();
        let challenge = match &self.behaviour {
            Behaviour::Token { user, password } => {
                if asked.path.starts_with("/token") {
                    let body = format!("{{\"token\":\"{TOKEN}\",\"expires_in\":60}}");
                    return Some(if given == Some(basic(user, password).as_str()) {
                        status(
                            stream,
                            "200 OK",
                            &[("Content-Type", "application/json")],
                            body.as_bytes(),
                        )
                    } else {
                        status(stream, "401 Unauthorized", &[], b"{}")
                    });
                }
                if given == Some(format!("Bearer {TOKEN}").as_str()) {
                    return None;
                }
                format!(
                    "Bearer realm=\"http://{address}/token\",service=\"hostile\",scope=\"repository:x:pull\""
                )
            }
            Behaviour::Basic { user, password } => {
                if given == Some(basic(user, password).as_str()) {
                    return None;
                }
                "Basic realm=\"hostile\"".to_owned()
            }
            Behaviour::StrangeRealm => {
                "Bearer realm=\"http://192.0.2.1:9/token\",service=\"hostile\"".to_owned()
            }
            _ => return None,
        };
        let body =
            b"{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}";
        Some(status(
            stream,
            "401 Unauthorized",
            &[("WWW-Authenticate", &challenge)],
            body,
        ))
    }

    fn manifest(&self, asked: &Asked, mut stream: &TcpStream) -> Result<()> {
        let kind = ("Content-Type", MANIFEST);
        match self.behaviour {
            Behaviour::EndlessManifest => {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: {MANIFEST}\r\nConnection: close\r\n\r\n{{\"a\":\""
                )?;
                while !self.ended.load(Ordering::Relaxed) {
                    stream.write_all(&[b'a'; 65536])?;
                }
                Ok(())
            }
            Behaviour::Ambiguous => {
                let mut both: serde_json::Value = serde_json::from_slice(&self.manifest)?;
                both["manifests"] = serde_json::json!([]);
                let body = serde_json::to_vec(&both)?;
                head_or_body(
                    asked,
                    stream,
                    &[kind, ("Docker-Content-Digest", &digest(&body))],
                    &body,
                )
            }
            _ => {
                let name = digest(&self.manifest);
                head_or_body(
                    asked,
                    stream,
                    &[kind, ("Docker-Content-Digest", &name)],
                    &self.manifest,
                )
            }
        }
    }

    fn blob(&self, name: &str, asked: &Asked, mut stream: &TcpStream) -> Result<()> {
        let Some((_, data)) = self.blobs.iter().find(|(digest, _)| digest == name) else {
            return status(
                stream,
                "404 Not Found",
                &[],
                b"{\"errors\":[{\"code\":\"BLOB_UNKNOWN\"}]}",
            );
        };
        let half = data.len() / 2;
        match (&self.behaviour, asked.range) {
            (Behaviour::ResumableBlob, Some(start)) if start < data.len() => {
                let range = format!("bytes {start}-{}/{}", data.len() - 1, data.len());
                status(
                    stream,
                    "206 Partial Content",
                    &[("Content-Range", &range)],
                    &data[start..],
                )
            }
            (Behaviour::TruncatedBlob | Behaviour::ResumableBlob, _) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\r\n",
                    data.len()
                );
                stream.write_all(head.as_bytes())?;
                Ok(stream.write_all(&data[..half])?)
            }
            (Behaviour::Halting, _) if self.blobs[0].0 != name => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    data.len()
                );
                stream.write_all(head.as_bytes())?;
                stream.write_all(&data[..half])?;
                while !self.going.load(Ordering::Relaxed) && !self.ended.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(stream.write_all(&data[half..])?)
            }
            (Behaviour::WrongDigest, _) => {
                let mut wrong = data.clone();
                if let Some(byte) = wrong.get_mut(half) {
                    *byte ^= 1;
                }
                head_or_body(asked, stream, &[], &wrong)
            }
            _ => head_or_body(asked, stream, &[], data),
        }
    }
}

fn read(stream: &TcpStream) -> Result<Asked> {
    let mut lines = BufReader::new(stream.take(65536)).lines();
    let first = lines.next().context("no request")??;
    let mut words = first.split(' ').map(str::to_owned);
    let mut asked = Asked {
        method: words.next().context("method")?,
        path: words.next().context("path")?,
        range: None,
        authorization: None,
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => asked.authorization = Some(value.trim().to_owned()),
            "range" => {
                let start = value.trim().trim_start_matches("bytes=").split('-').next();
                asked.range = start.and_then(|s| s.parse().ok());
            }
            _ => {}
        }
    }
    Ok(asked)
}

fn head_or_body(
    asked: &Asked,
    stream: &TcpStream,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<()> {
    if asked.method == "HEAD" {
        return send(stream, "200 OK", headers, body.len(), b"");
    }
    status(stream, "200 OK", headers, body)
}

fn status(stream: &TcpStream, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
    send(stream, line, headers, body.len(), body)
}

fn send(
    mut stream: &TcpStream,
    line: &str,
    headers: &[(&str, &str)],
    length: usize,
    body: &[u8],
) -> Result<()> {
    let mut head = format!("HTTP/1.1 {line}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body)?)
}

fn base64(data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in data.chunks(3) {
        let mut word = [0_u8; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from(word[0]) << 16 | u32::from(word[1]) << 8 | u32::from(word[2]);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() {
                letter as char
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_of_all_lengths() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("user:pass", "dXNlcjpwYXNz"),
        ];
        for (plain, coded) in table {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
