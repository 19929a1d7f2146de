//! A context, a build of it over the API, and what came of that.

use super::session::{self, Session};
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
    secrets: Vec<(String, String)>,
    in_session: bool,
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

    /// With secrets: told in a session, as our own client does.
    pub(crate) fn secret(mut self, id: &str, text: &str) -> Self {
        self.secrets.push((id.to_owned(), text.to_owned()));
        self.bundle()
    }

    /// With more than a context: told in a session. Files below `contexts/NAME/` are of the one with that name.
    pub(crate) fn bundle(mut self) -> Self {
        self.in_session = true;
        self
    }

    /// What is sent.
    pub(crate) fn body(&self) -> Result<Vec<u8>> {
        Ok(Layer::new(&self.entries)?.tar().to_vec())
    }

    /// The entries of each context.
    fn contexts(&self) -> BTreeMap<String, Vec<Entry>> {
        let mut contexts = BTreeMap::from([(String::new(), Vec::new())]);
        for entry in &self.entries {
            let (name, entry) = of_context(entry);
            contexts.entry(name).or_default().push(entry);
        }
        contexts
    }

    /// Begins a session and tells of the contexts, as archives, and of the secrets.
    fn session(&self, daemon: &Daemon) -> Result<Session> {
        let mut session = Session::begin(daemon, &self.query.join("&"))?;
        for (name, entries) in self.contexts() {
            session.say(session::CONTEXT, 0, name.as_bytes())?;
            for piece in Layer::new(&entries)?.tar().chunks(64 << 10) {
                session.say(session::ARCHIVE, 0, piece)?;
            }
            session.say(session::ARCHIVE, 0, b"")?;
        }
        for (id, text) in &self.secrets {
            let length = u16::try_from(id.len())?.to_be_bytes();
            let secret = [&length[..], id.as_bytes(), text.as_bytes()].concat();
            session.say(session::SECRET, 0, &secret)?;
        }
        session.say(session::READY, 0, b"")?;
        Ok(session)
    }

    /// Where it is sent.
    pub(crate) fn path(&self) -> String {
        format!("/build?{}", self.query.join("&"))
    }

    /// Sends it, and waits for its end.
    pub(crate) fn send(&self, daemon: &Daemon) -> Result<Built> {
        if self.in_session {
            let session = self.session(daemon)?;
            let messages = session.messages(|_, number, _| bail!("asked for {number}"));
            return Built::of(&messages?);
        }
        let path = self.path();
        let request = Request::new("POST", &path).body("application/x-tar", self.body()?);
        let answer = daemon.send(&request)?;
        if answer.status != 200 {
            let error = answer.json()?["message"].as_str().map(str::to_owned);
            return Ok(Built {
                error,
                ..Built::default()
            });
        }
        Built::of(&answer.text())
    }

    /// Sends it and reads until the answer says `text`; the connection, on which the build goes on.
    pub(crate) fn begin(&self, daemon: &Daemon, text: &str) -> Result<UnixStream> {
        let mut stream = match self.in_session {
            true => self.session(daemon)?.into_stream(),
            false => {
                let mut stream = UnixStream::connect(daemon.socket())?;
                let body = self.body()?;
                write!(
                    stream,
                    "POST /build?{} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
                    self.query.join("&"),
                    body.len()
                )?;
                stream.write_all(&body)?;
                stream
            }
        };
        stream.set_read_timeout(Some(LIMIT * patience()))?;
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains(text) {
            let count = stream.read(&mut buffer).context("read the answer")?;
            ensure!(count > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..count]);
        }
        Ok(stream)
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
    /// Of the messages of an answer.
    pub(crate) fn of(messages: &str) -> Result<Built> {
        let mut built = Built::default();
        for line in messages.lines().filter(|line| !line.trim().is_empty()) {
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

/// The name of the context that an entry is of, and what it is there.
fn of_context(entry: &Entry) -> (String, Entry) {
    match entry {
        Entry::File(path, mode, text) => {
            let named = path.strip_prefix("contexts/");
            let (name, path) = named
                .and_then(|named| named.split_once('/'))
                .unwrap_or(("", path));
            let entry = Entry::File(path.to_owned(), *mode, text.clone());
            (name.to_owned(), entry)
        }
        Entry::With(entry, traits) => {
            let (name, entry) = of_context(entry);
            (name, Entry::With(Box::new(entry), traits.clone()))
        }
        other => (String::new(), other.clone()),
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
