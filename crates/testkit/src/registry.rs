//! Debian's `docker-registry` on loopback of a namespace, with its storage in a private folder.

use crate::http::{Request, Response};
use crate::image::{Distribution, Image, MANIFEST};
use crate::namespace::Namespace;
use crate::wait::{LIMIT, patience, wait_until};
use anyhow::{Context, Result, bail};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The user and password of a registry that wants them.
pub const LOGIN: (&str, &str) = ("me", "secret");
/// The same for the registry, as a line of its file.
pub const HTPASSWD: &str = "me:$2b$04$x5ATUZfkIyYvP0cEUSzyt.4uPmA6TGPjB7wOQkvPtGmDkV.D61MiC\n";

/// A registry. Dropping it ends it.
#[derive(Debug)]
pub struct Registry<'a> {
    namespace: &'a Namespace,
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl<'a> Registry<'a> {
    /// Starts one on a port of the namespace's loopback, without authentication.
    ///
    /// # Errors
    /// When `docker-registry` is not installed or does not answer.
    pub fn start(namespace: &'a Namespace, port: u16) -> Result<Self> {
        Self::start_with(namespace, port, "", None)
    }

    /// As [`Registry::start`], for those who know [`LOGIN`] only.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub fn start_locked(namespace: &'a Namespace, port: u16) -> Result<Self> {
        Self::start_with(namespace, port, HTPASSWD, None)
    }

    /// As [`Registry::start_locked`], by TLS with this certificate and key, at every address of the namespace.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub fn start_secure(
        namespace: &'a Namespace,
        port: u16,
        certificate: &Path,
        key: &Path,
    ) -> Result<Self> {
        Self::start_with(namespace, port, HTPASSWD, Some((certificate, key)))
    }

    fn start_with(
        namespace: &'a Namespace,
        port: u16,
        users: &str,
        tls: Option<(&Path, &Path)>,
    ) -> Result<Self> {
        let host = match tls {
            Some(_) => "",
            None => "127.0.0.1",
        };
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("config.yml");
        let mut text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: \"{host}:{port}\"\n",
            folder.path().join("data").display()
        );
        if let Some((certificate, key)) = tls {
            text.push_str(&format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                certificate.display(),
                key.display()
            ));
        }
        if !users.is_empty() {
            let path = folder.path().join("htpasswd");
            std::fs::write(&path, users)?;
            text.push_str(&format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                path.display()
            ));
        }
        std::fs::write(&config, text)?;
        let mut command = Command::new("docker-registry");
        command
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = namespace.spawn(&mut command)?;
        let registry = Self {
            namespace,
            child,
            port,
            _folder: folder,
        };
        wait_until("the registry to answer", LIMIT, || {
            registry
                .send(&Request::new("GET", "/v2/"))
                .is_ok_and(|r| matches!(r.status, 200 | 401) || (tls.is_some() && r.status == 400))
                .then_some(())
        })?;
        Ok(registry)
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub fn send(&self, request: &Request<'_>) -> Result<Response> {
        let connect = || TcpStream::connect(self.address());
        let stream = self
            .namespace
            .run(connect)?
            .context("connect to the registry")?;
        stream.set_read_timeout(Some(LIMIT * patience()))?;
        request.send(stream)
    }

    /// Stores an image as `name:tag`; returns the digest of its manifest.
    ///
    /// # Errors
    /// When the registry refuses something.
    pub fn push(&self, image: &Image, name: &str, tag: &str) -> Result<String> {
        let Distribution { manifest, blobs } = image.distribution()?;
        for (digest, data) in blobs {
            let begun = self
                .send(&Request::new("POST", &format!("/v2/{name}/blobs/uploads/")))?
                .ok()?;
            let location = begun.header("location").context("no location")?.to_owned();
            let path = match location
                .split_once("://")
                .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]))
            {
                Some(path) => path.to_owned(),
                None => location,
            };
            let separator = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{separator}digest={digest}");
            self.send(&Request::new("PUT", &path).body("application/octet-stream", data))?
                .ok()?;
        }
        let path = format!("/v2/{name}/manifests/{tag}");
        let stored = self
            .send(&Request::new("PUT", &path).body(MANIFEST, manifest))?
            .ok()?;
        match stored.header("docker-content-digest") {
            Some(digest) => Ok(digest.to_owned()),
            None => bail!("the registry did not name a digest"),
        }
    }
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
