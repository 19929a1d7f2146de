//! A context, a build of it over the API, and what came of that.

use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{Daemon, Entry, LIMIT, Layer, Request, patience};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A build to be sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build {
    entries: Vec<Entry>,
    query: Vec<String>,
    prefix: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Built {
    /// The lines for people.
    pub(crate) text: String,
    /// The image.
    pub(crate) id: Option<String>,
    /// Why there is none.
    pub(crate) error: Option<String>,
    /// The exit code of the command that failed.
    pub(crate) code: i64,
    /// With `progress=1`: the number of each step that ended, its name, and whether it was known.
    pub(crate) steps: Vec<(u64, String, bool)>,
}

/// A file of an image, as an export tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) content: Vec<u8>,
    pub(crate) link: String,
}

impl Build {
    /// Of a Dockerfile.
    pub(crate) fn of(dockerfile: &str) -> Self {
        Self::default().file("Dockerfile", dockerfile)
    }

    /// With a file.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.entry(Entry::File(
            path.to_owned(),
            0o644,
            text.as_bytes().to_vec(),
        ))
    }

    /// With anything.
    pub(crate) fn entry(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// With a parameter.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        let encoded: String = value
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                    char::from(byte).to_string()
                }
                byte => format!("%{byte:02X}"),
            })
            .collect();
        self.query.push(format!("{key}={encoded}"));
        self
    }

    /// With secrets: sent as our own client does.
    pub(crate) fn secret(self, id: &str, text: &str) -> Self {
        let path = format!("secrets/{id}");
        self.bundle()
            .entry(Entry::File(path, 0o600, text.as_bytes().to_vec()))
    }

    /// With more than a context: sent as our own client does.
    pub(crate) fn bundle(mut self) -> Self {
        "context/".clone_into(&mut self.prefix);
        self
    }

    /// What is sent.
    pub(crate) fn body(&self) -> Result<Vec<u8>> {
        let entries = self.entries.iter().map(|entry| self.placed(entry));
        let entries: Vec<Entry> = entries.collect();
        Ok(Layer::new(&entries)?.tar().to_vec())
    }

    /// An entry where it is in the body.
    fn placed(&self, entry: &Entry) -> Entry {
        let place = |path: &str| match path.starts_with("secrets/") || path.starts_with("contexts/")
        {
            true => path.to_owned(),
            false => format!("{}{path}", self.prefix),
        };
        match entry {
            Entry::Directory(path, mode) => Entry::Directory(place(path), *mode),
            Entry::File(path, mode, text) => Entry::File(place(path), *mode, text.clone()),
            Entry::Link(path, target) => Entry::Link(place(path), target.clone()),
            Entry::HardLink(path, target) => Entry::HardLink(place(path), place(target)),
            Entry::With(entry, traits) => Entry::With(Box::new(self.placed(entry)), traits.clone()),
        }
    }

    /// Sends it, and waits for its end.
    pub(crate) fn send(&self, daemon: &Daemon) -> Result<Built> {
        let path = format!("/build?{}", self.query.join("&"));
        let body = self.body()?;
        let answer = daemon.send(&Request::new("POST", &path).body(self.media_type(), body))?;
        let mut built = Built::default();
        if answer.status != 200 {
            built.error = Some(
                answer.json()?["message"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
            return Ok(built);
        }
        for line in answer.text().lines().filter(|line| !line.trim().is_empty()) {
            let message: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            built.text += message["stream"].as_str().unwrap_or_default();
            let vertex = &message["aux"]["vertex"];
            if vertex["completed"].is_string() {
                let name = vertex["name"].as_str().unwrap_or_default();
                let known = vertex["cached"].as_bool().unwrap_or_default();
                let number = vertex["n"].as_u64().unwrap_or_default();
                built.steps.push((number, name.to_owned(), known));
            }
            if let Some(id) = message["aux"]["ID"].as_str() {
                built.id = Some(id.to_owned());
            }
            if let Some(error) = message["errorDetail"].as_object() {
                built.error = error["message"].as_str().map(str::to_owned);
                built.code = error.get("code").and_then(Value::as_i64).unwrap_or(0);
            }
        }
        Ok(built)
    }

    /// Sends it and reads until the answer says `text`; the connection, on which the build goes on.
    pub(crate) fn begin(&self, daemon: &Daemon, text: &str) -> Result<UnixStream> {
        let mut stream = UnixStream::connect(daemon.socket())?;
        stream.set_read_timeout(Some(LIMIT * patience()))?;
        let body = self.body()?;
        write!(
            stream,
            "POST /build?{} HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            self.query.join("&"),
            self.media_type(),
            body.len()
        )?;
        stream.write_all(&body)?;
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains(text) {
            let count = stream.read(&mut buffer).context("read the answer")?;
            ensure!(count > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..count]);
        }
        Ok(stream)
    }

    fn media_type(&self) -> &'static str {
        match self.prefix.is_empty() {
            true => "application/x-tar",
            false => "application/vnd.onggi.build.v1+tar",
        }
    }

    /// Sends it; the image, or what went wrong.
    pub(crate) fn image(&self, daemon: &Daemon) -> Result<String> {
        let built = self.send(daemon)?;
        match (built.id, built.error) {
            (Some(id), None) => Ok(id),
            (_, error) => bail!("{error:?}\n{}", built.text),
        }
    }
}

impl Built {
    /// The steps that were done, as they are written; of those that are known nothing.
    pub(crate) fn done(&self) -> Vec<String> {
        let mut done = Vec::new();
        let mut step = String::new();
        let mut is_known = true;
        for line in self.text.lines() {
            if line.starts_with("Step ") {
                if !is_known {
                    done.push(std::mem::take(&mut step));
                }
                step = line
                    .split_once(" : ")
                    .map_or("", |(_, text)| text)
                    .to_owned();
                is_known = false;
            } else if line == " ---> Using cache" {
                is_known = true;
            }
        }
        if !is_known {
            done.push(step);
        }
        let changes = |step: &String| {
            ["RUN", "COPY", "ADD", "WORKDIR"]
                .iter()
                .any(|word| step.to_uppercase().starts_with(word))
        };
        done.into_iter().filter(changes).collect()
    }

    /// With `progress=1`: the steps that were done, as they are written, in the order of the Dockerfile.
    pub(crate) fn again(&self) -> Vec<String> {
        let mut steps = self.steps.clone();
        steps.sort();
        let done = steps.into_iter().filter(|(_, _, is_known)| !is_known);
        // Images, whose names begin without a stage, are there.
        let written = done.filter_map(|(_, name, _)| {
            let (_, text) = name.strip_prefix('[')?.split_once("] ")?;
            Some(text.to_owned())
        });
        written.collect()
    }
}

/// What `inspect` tells of an image.
pub(crate) fn inspect(daemon: &Daemon, id: &str) -> Result<Value> {
    daemon.get(&format!("/images/{id}/json"))?.ok()?.json()
}

/// The files of an image.
pub(crate) fn tree(daemon: &Daemon, id: &str) -> Result<BTreeMap<String, Seen>> {
    let body = json!({ "Image": id, "Cmd": ["/none"] });
    let created = daemon.post("/containers/create", &body)?.ok()?.json()?;
    let container = created["Id"].as_str().context("no Id")?.to_owned();
    let answer = daemon
        .get(&format!("/containers/{container}/export"))?
        .ok()?;
    daemon
        .delete(&format!("/containers/{container}?v=1"))?
        .ok()?;
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(answer.body.as_slice());
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_matches('/').to_owned();
        let header = entry.header().clone();
        let kind = match header.entry_type() {
            tar::EntryType::Directory => 'd',
            tar::EntryType::Symlink => 'l',
            tar::EntryType::Link => 'h',
            tar::EntryType::Regular | tar::EntryType::Continuous => 'f',
            _ => '?',
        };
        let link = entry
            .link_name()?
            .map(|link| link.to_string_lossy().into_owned());
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let seen = Seen {
            kind,
            mode: header.mode()? & 0o7777,
            owner: (header.uid()?, header.gid()?),
            content,
            link: link.unwrap_or_default(),
        };
        files.insert(path, seen);
    }
    Ok(files)
}

/// The text of a file of an image.
pub(crate) fn text(daemon: &Daemon, id: &str, path: &str) -> Result<String> {
    let files = tree(daemon, id)?;
    let seen = files
        .get(path)
        .with_context(|| format!("{path} is not there"))?;
    Ok(String::from_utf8_lossy(&seen.content).into_owned())
}
