//! Which steps are done again after which change: tables of changes, each made to a build of which all is known. Steps
//! that are not named must be known.
//!
//! What BuildKit's steps are known by is the measure: their text with its variables, the content of what they are given
//! without its times, the network and the names of hosts; not what a proxy, a secret or a cache says. Here a change ends
//! where what comes out is what came out before: BuildKit goes on with all that stands below.

mod commands; // RUN: what it is given, and where it runs
mod copies; // COPY: as it is written
mod files; // what is in the context
mod sources; // images, contexts with names, the web
mod stages; // several FROM
mod text; // the Dockerfile's text
mod variables; // ARG and ENV

use super::scene::{Build, Built};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, Traits};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A build, and what happens to it.
struct Scene {
    name: &'static str,
    dockerfile: &'static str,
    /// What else there is.
    context: &'static [Change],
    rows: &'static [Row],
}

/// A change, its parts, and the beginnings of the steps that are done again.
struct Row(&'static str, &'static [Change], &'static [&'static str]);

/// A part of a change.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// In the Dockerfile: what stands there, and what stands there instead.
    Text(&'static str, &'static str),
    /// A file with this content.
    File(&'static str, &'static str),
    /// A directory with this mode.
    Directory(&'static str, u32),
    /// A link to this.
    Link(&'static str, &'static str),
    /// Another name of a file.
    HardLink(&'static str, &'static str),
    Mode(&'static str, u32),
    Owner(&'static str, u64),
    Time(&'static str, u64),
    /// Its extended attribute `user.note`.
    Note(&'static str, &'static str),
    Gone(&'static str),
    Moved(&'static str, &'static str),
    /// A parameter.
    Set(&'static str, &'static str),
    Secret(&'static str, &'static str),
    NoSecret(&'static str),
    /// An image of this name, of this Dockerfile.
    Image(&'static str, &'static str),
    /// What the web has at a path: headers, content.
    Web(&'static str, &'static str, &'static str),
}

/// Something in the context.
#[derive(Clone, Debug)]
struct Node {
    entry: Entry,
    traits: Traits,
}

/// A build as it is after changes.
#[derive(Clone, Debug, Default)]
struct Made {
    dockerfile: String,
    nodes: BTreeMap<String, Node>,
    query: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
}

type Pages = Arc<Mutex<BTreeMap<String, (String, String)>>>;

/// Where all of it happens.
struct Place {
    daemon: Daemon,
    pages: Pages,
}

/// The base of all scenes. What its `new` writes was never there, so that what stands below is done again, too.
const BASE: &str = "FROM busybox\nRUN echo SCENE > /scene && printf '#!/bin/sh\\ncat /proc/sys/kernel/random/uuid > /$1\\n' > /bin/new && chmod 755 /bin/new\n";

impl Place {
    fn new() -> Result<Self> {
        let daemon = Daemon::start()?;
        daemon.load_busybox()?;
        let pages = Pages::default();
        serve(&daemon, pages.clone())?;
        Ok(Self { daemon, pages })
    }

    /// Goes through a scene; what is different from what its table says.
    fn play(&self, scene: &Scene) -> Result<Vec<String>> {
        let base = BASE.replace("SCENE", scene.name);
        Build::of(&base).set("t", "base").image(&self.daemon)?;
        let all = |changes: &[Change]| -> Result<Built> {
            let mut made = Made {
                dockerfile: scene.dockerfile.to_owned(),
                ..Made::default()
            };
            for change in scene.context.iter().chain(changes) {
                made.change(change, self)?;
            }
            made.send(&self.daemon)
        };
        let first = all(&[])?;
        ensure!(first.error.is_none(), "{}: {first:?}", scene.name);
        let mut different = Vec::new();
        for Row(name, changes, expected) in scene.rows {
            let built = all(changes).with_context(|| format!("{}: {name}", scene.name))?;
            let again = built.again();
            let fits = again.len() == expected.len()
                && again
                    .iter()
                    .zip(*expected)
                    .all(|(done, wanted)| done.starts_with(wanted));
            if !fits || built.error.is_some() {
                different.push(format!(
                    "{}: {name}: {again:?} instead of {expected:?} {}",
                    scene.name,
                    built.error.unwrap_or_default()
                ));
            }
        }
        Ok(different)
    }
}

fn play(scenes: &[&Scene]) -> Result<()> {
    let place = Place::new()?;
    let mut different = Vec::new();
    for scene in scenes {
        different.extend(place.play(scene)?);
    }
    ensure!(different.is_empty(), "{}", different.join("\n"));
    Ok(())
}

impl Made {
    fn change(&mut self, change: &Change, place: &Place) -> Result<()> {
        let lone = |entry: Entry| Node {
            entry,
            traits: Traits::default(),
        };
        match *change {
            Change::Text(before, after) => {
                ensure!(self.dockerfile.contains(before), "no {before:?}");
                self.dockerfile = self.dockerfile.replace(before, after);
            }
            Change::File(path, content) => {
                let entry = Entry::File(path.to_owned(), 0o644, content.as_bytes().to_vec());
                self.nodes.insert(path.to_owned(), lone(entry));
            }
            Change::Directory(path, mode) => {
                let entry = Entry::Directory(path.to_owned(), mode);
                self.nodes.insert(path.to_owned(), lone(entry));
            }
            Change::Link(path, target) => {
                let entry = Entry::Link(path.to_owned(), target.to_owned());
                self.nodes.insert(path.to_owned(), lone(entry));
            }
            Change::HardLink(path, target) => {
                let entry = Entry::HardLink(path.to_owned(), target.to_owned());
                self.nodes.insert(path.to_owned(), lone(entry));
            }
            Change::Mode(path, mode) => {
                let node = self.node(path)?;
                let (Entry::File(_, own, _) | Entry::Directory(_, own)) = &mut node.entry else {
                    anyhow::bail!("{path} has no mode");
                };
                *own = mode;
            }
            Change::Owner(path, id) => self.node(path)?.traits.owner = (id, id),
            Change::Time(path, time) => self.node(path)?.traits.time = time,
            Change::Note(path, text) => {
                let note = ("user.note".to_owned(), text.as_bytes().to_vec());
                self.node(path)?.traits.attributes.push(note);
            }
            Change::Gone(path) => {
                self.node(path)?;
                self.nodes.remove(path);
            }
            Change::Moved(path, to) => {
                let mut node = self.node(path)?.clone();
                self.nodes.remove(path);
                match &mut node.entry {
                    Entry::File(own, ..) | Entry::Directory(own, _) | Entry::Link(own, _) => {
                        to.clone_into(own);
                    }
                    other => anyhow::bail!("{other:?} is not moved"),
                }
                self.nodes.insert(to.to_owned(), node);
            }
            Change::Set(key, value) => {
                self.query.insert(key.to_owned(), value.to_owned());
            }
            Change::Secret(id, text) => {
                self.secrets.insert(id.to_owned(), text.to_owned());
            }
            Change::NoSecret(id) => {
                self.secrets.remove(id).context("no such secret")?;
            }
            Change::Image(name, dockerfile) => {
                Build::of(dockerfile).set("t", name).image(&place.daemon)?;
            }
            Change::Web(path, headers, content) => {
                let mut pages = place.pages.lock().unwrap_or_else(PoisonError::into_inner);
                pages.insert(path.to_owned(), (headers.to_owned(), content.to_owned()));
            }
        }
        Ok(())
    }

    fn node(&mut self, path: &str) -> Result<&mut Node> {
        self.nodes
            .get_mut(path)
            .with_context(|| format!("no {path}"))
    }

    fn send(&self, daemon: &Daemon) -> Result<Built> {
        let mut build = Build::of(&self.dockerfile).set("progress", "1");
        for node in self.nodes.values() {
            let entry = Box::new(node.entry.clone());
            build = build.entry(Entry::With(entry, node.traits.clone()));
        }
        for (key, value) in &self.query {
            build = build.set(key, value);
        }
        if self.query.contains_key("buildcontexts") {
            build = build.bundle();
        }
        for (id, text) in &self.secrets {
            build = build.secret(id, text);
        }
        build.send(daemon)
    }
}

/// What the web has, at `127.0.0.1:8000` of the daemon's namespace. It ends with the test's process.
fn serve(daemon: &Daemon, pages: Pages) -> Result<()> {
    let listener = daemon
        .namespace()
        .run(|| TcpListener::bind("127.0.0.1:8000"))??;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that breaks off is the test's business.
            let _ = answer(stream, &pages);
        }
    });
    Ok(())
}

fn answer(mut stream: TcpStream, pages: &Pages) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let page = {
        let pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.get(path).cloned()
    };
    let (status, (headers, content)) = match page {
        Some(page) => ("200 OK", page),
        None => ("404 Not Found", Default::default()),
    };
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{content}"
    )
}

#[test]
fn changes_of_the_text() -> Result<()> {
    play(&[&text::SCENE, &variables::SCENE])
}

#[test]
fn changes_of_the_context() -> Result<()> {
    play(&[&files::SCENE, &files::WHOLE, &copies::SCENE])
}

#[test]
fn changes_of_commands_and_stages() -> Result<()> {
    play(&[&commands::SCENE, &stages::SCENE])
}

#[test]
fn changes_elsewhere() -> Result<()> {
    play(&[&sources::BASES, &sources::CONTEXTS, &sources::WEB])
}

#[test]
fn there_are_enough_of_them() {
    let scenes = [
        &text::SCENE,
        &variables::SCENE,
        &files::SCENE,
        &files::WHOLE,
        &copies::SCENE,
        &commands::SCENE,
        &stages::SCENE,
        &sources::BASES,
        &sources::CONTEXTS,
        &sources::WEB,
    ];
    let count: usize = scenes.iter().map(|scene| scene.rows.len()).sum();
    assert!(count >= 80, "{count}");
}
