//! A build's session with our own daemon: what is built with is told by what it is known by, and sent where it is asked for.
//! What is said is `onggi_api::session`; one thread walks, hashes and answers, tasks carry frames and agents.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc as sync};
use std::thread::JoinHandle;
use std::time::SystemTime;

use bytes::Bytes;
use onggi_api::session::{AGENTS, Entry, Frame, Frames, What, Word, pair, unpair};
use onggi_api::stream::Message;
use onggi_archive::{Entry as Archived, Kind};
use onggi_client::{Build, Client, Input as Mouth, Output as Ears};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::body::Count;
use super::context::{Input, Source, rules};
use super::hashes::{self, Hashes};
use super::layout;
use super::named::{self, Named};
use super::secret;
use super::ssh::Agent;
use super::tree::{Take, Tree, changed, refused};
use crate::error::{Error, Result};
use crate::settings::Environment;

/// Frames on their way.
const QUEUE: usize = 64;
/// Bytes of a frame, of about as many entries, and of what is read at once.
const PIECE: usize = 128 << 10;

/// What a build is told of.
pub(super) struct Content {
    pub(super) source: Source,
    /// What is on standard input, for [`Source::Archive`].
    pub(super) input: Option<Input>,
    pub(super) secrets: Vec<secret::Named>,
    pub(super) contexts: Vec<Named>,
    pub(super) agents: Vec<Agent>,
    /// Directories with caches.
    pub(super) caches: BTreeSet<String>,
    /// Where hashes are kept.
    pub(super) environment: Environment,
}

/// A session that goes on.
pub(super) struct Session {
    messages: mpsc::Receiver<Result<Message>>,
    /// Bytes sent so far.
    pub(super) sent: Count,
    /// When all is told.
    told: Option<oneshot::Receiver<()>>,
    telling: Option<JoinHandle<Result<()>>>,
    /// Not all could be told.
    is_broken: bool,
}

/// Begins to build.
///
/// # Errors
/// What the daemon refuses at once.
pub(super) async fn begin(client: &Client, build: &Build, content: Content) -> Result<Session> {
    let connection = client.build_session(build).await?;
    let (ears, mouth) = connection.split();
    let (out, frames) = mpsc::channel(QUEUE);
    let (wants, wanted) = sync::channel();
    let (heard, messages) = mpsc::channel(QUEUE);
    let (ready, told) = oneshot::channel();
    let sent = Count::default();
    tokio::spawn(speak(mouth, frames, sent.clone()));
    let agents: HashMap<String, PathBuf> = content
        .agents
        .iter()
        .map(|agent| (agent.id.clone(), agent.path.clone()))
        .collect();
    let caches = Caches::new(content.caches.clone(), out.clone());
    tokio::spawn(listen(
        ears,
        heard,
        wants,
        Agents::new(agents, out.clone()),
        caches,
    ));
    let telling = std::thread::spawn(move || {
        let mut teller = Teller {
            out,
            entries: Vec::new(),
            places: Vec::new(),
            hashes: Hashes::default(),
        };
        teller.tell(content)?;
        // Who waited for it may have gone.
        let _ = ready.send(());
        teller.answer(&wanted)
    });
    Ok(Session {
        messages,
        sent,
        told: Some(told),
        telling: Some(telling),
        is_broken: false,
    })
}

impl Session {
    /// Until all is told, or cannot be.
    pub(super) async fn told(&mut self) {
        if let Some(told) = &mut self.told {
            self.is_broken = told.await.is_err();
            self.told = None;
        }
    }

    /// The next message; nothing at the end.
    ///
    /// # Errors
    /// Why it ended too early.
    pub(super) async fn next(&mut self) -> Result<Option<Message>> {
        // A daemon that waits for the rest says nothing.
        if !self.is_broken
            && let Some(message) = self.messages.recv().await
        {
            return message.map(Some);
        }
        let Some(telling) = self.telling.take() else {
            return Ok(None);
        };
        let panicked = || Error::new("the thread that reads the context panicked");
        telling.join().map_err(|_| panicked())?.map(|()| None)
    }
}

/// Writes what is to be said.
async fn speak(mut mouth: Mouth, mut frames: mpsc::Receiver<Frame>, sent: Count) {
    let mut bytes = Vec::new();
    while let Some(frame) = frames.recv().await {
        let mut next = Some(frame);
        while let Some(frame) = next {
            bytes.extend_from_slice(&frame.header());
            bytes.extend_from_slice(&frame.payload);
            next = match bytes.len() < PIECE {
                true => frames.try_recv().ok(),
                false => None,
            };
        }
        // A daemon that is gone is heard.
        if mouth.write(&bytes).await.is_err() {
            return;
        }
        sent.add(bytes.len() as u64);
        bytes.clear();
    }
    // The end of what is said is the end of the build: it ends with the session alone.
    std::future::pending::<()>().await;
}

/// Hears what the daemon says.
async fn listen(
    mut ears: Ears,
    messages: mpsc::Sender<Result<Message>>,
    wants: sync::Sender<Vec<u32>>,
    mut agents: Agents,
    mut caches: Caches,
) {
    let broken = |why: String| Error::new(format!("the session with the daemon is broken: {why}"));
    let mut frames = Frames::default();
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        let frame = match frames.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                match ears.read(&mut buffer).await {
                    Ok(0) => return,
                    Ok(_) => frames.push(&buffer),
                    Err(error) => {
                        let _ = messages.send(Err(broken(error.to_string()))).await;
                        return;
                    }
                }
                continue;
            }
            Err(error) => {
                let _ = messages.send(Err(broken(error.to_string()))).await;
                return;
            }
        };
        match frame.word {
            Word::Message => {
                let message = serde_json::from_slice(&frame.payload);
                let message = message.map_err(|error| broken(error.to_string()));
                if messages.send(message).await.is_err() {
                    return;
                }
            }
            Word::Want => {
                let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
                let numbers = frame.payload.chunks_exact(4).filter_map(number);
                // A thread that is gone says why where messages end.
                if wants.send(numbers.collect()).is_err() {
                    return;
                }
            }
            Word::Keep => caches.begin(&frame),
            Word::Data | Word::End if caches.has(frame.number) => caches.hear(frame).await,
            Word::Open | Word::Data | Word::End => agents.hear(frame),
            _ => {}
        }
    }
}

/// Files of caches that come.
struct Caches {
    directories: BTreeSet<String>,
    out: mpsc::Sender<Frame>,
    streams: HashMap<u32, mpsc::Sender<Option<Bytes>>>,
}

impl Caches {
    fn new(directories: BTreeSet<String>, out: mpsc::Sender<Frame>) -> Self {
        let streams = HashMap::new();
        Self {
            directories,
            out,
            streams,
        }
    }

    fn has(&self, number: u32) -> bool {
        self.streams.contains_key(&number)
    }

    fn begin(&mut self, frame: &Frame) {
        let number = frame.number;
        let (sender, pieces) = mpsc::channel(QUEUE);
        self.streams.insert(number, sender);
        // Only into directories that the flags name.
        let named = unpair(&frame.payload)
            .filter(|(directory, _)| self.directories.contains(*directory))
            .map(|(directory, digest)| (PathBuf::from(directory), digest.to_vec()));
        let out = self.out.clone();
        tokio::task::spawn_blocking(move || {
            let written = match &named {
                Some((directory, digest)) => {
                    layout::write(directory, &String::from_utf8_lossy(digest), pieces)
                }
                None => Err("nobody asked for it".to_owned()),
            };
            let why = written.err().unwrap_or_default();
            // A daemon that is gone is heard elsewhere.
            let _ = out.blocking_send(Frame::new(Word::End, number, why.into_bytes()));
        });
    }

    /// Waits where files come faster than they are written. Whoever does not take them any more has said why.
    async fn hear(&mut self, frame: Frame) {
        if frame.word == Word::End {
            if let Some(stream) = self.streams.remove(&frame.number) {
                let _ = stream.send(None).await;
            }
        } else if let Some(stream) = self.streams.get(&frame.number) {
            let _ = stream.send(Some(frame.payload)).await;
        }
    }
}

/// Streams of steps to agents.
struct Agents {
    paths: HashMap<String, PathBuf>,
    out: mpsc::Sender<Frame>,
    streams: Arc<Mutex<HashMap<u32, mpsc::Sender<Bytes>>>>,
}

impl Agents {
    fn new(paths: HashMap<String, PathBuf>, out: mpsc::Sender<Frame>) -> Self {
        let streams = Arc::default();
        Self {
            paths,
            out,
            streams,
        }
    }

    fn hear(&mut self, frame: Frame) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let number = frame.number;
        match frame.word {
            Word::Open => {
                let id = String::from_utf8_lossy(&frame.payload).into_owned();
                let (sender, asked) = mpsc::channel(QUEUE);
                streams.insert(number, sender);
                let (path, out) = (self.paths.get(&id).cloned(), self.out.clone());
                let streams = self.streams.clone();
                tokio::spawn(async move {
                    if let Some(path) = path.filter(|_| number >= AGENTS) {
                        // One that cannot be reached is one that says nothing.
                        let _ = relay(&path, number, asked, &out).await;
                    }
                    let open = || streams.lock().unwrap_or_else(PoisonError::into_inner);
                    open().remove(&number);
                    let _ = out.send(Frame::new(Word::End, number, Bytes::new())).await;
                });
            }
            Word::Data => {
                let taken = streams.get(&number);
                if taken.is_some_and(|stream| stream.try_send(frame.payload).is_err()) {
                    streams.remove(&number);
                }
            }
            _ => drop(streams.remove(&number)),
        }
    }
}

/// Carries bytes between a step and an agent, until either is done.
async fn relay(
    path: &Path,
    number: u32,
    mut asked: mpsc::Receiver<Bytes>,
    out: &mpsc::Sender<Frame>,
) -> io::Result<()> {
    let mut stream = UnixStream::connect(path).await?;
    let (mut read, mut write) = stream.split();
    let asks = async {
        while let Some(bytes) = asked.recv().await {
            write.write_all(&bytes).await?;
        }
        Ok(())
    };
    let answers = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let count = read.read(&mut buffer).await?;
            let data = Frame::new(Word::Data, number, buffer[..count].to_vec());
            if count == 0 || out.send(data).await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::select! {
        done = asks => done,
        done = answers => done,
    }
}

/// Where the bytes of an entry are.
enum Place {
    Nowhere,
    File(PathBuf, [u8; 32]),
    Text(Vec<u8>),
}

struct Teller {
    out: mpsc::Sender<Frame>,
    /// Entries that are not sent yet.
    entries: Vec<u8>,
    /// By the numbers of entries.
    places: Vec<Place>,
    hashes: Hashes,
}

impl Teller {
    fn say(&self, word: Word, number: u32, payload: impl Into<Bytes>) -> Result<()> {
        let sent = self.out.blocking_send(Frame::new(word, number, payload));
        sent.map_err(|_| Error::new("the daemon is gone"))
    }

    fn tell(&mut self, content: Content) -> Result<()> {
        if let Source::Directory(directory) = &content.source {
            let key = key(&directory.root);
            let variable = |name: &str| content.environment.get(name).cloned();
            self.hashes = Hashes::open(hashes::place(variable, &key));
            self.say(Word::Key, 0, key)?;
        }
        for secret in &content.secrets {
            let payload = pair(secret.id.as_bytes(), secret.value.expose());
            self.say(Word::Secret, 0, payload)?;
        }
        for agent in &content.agents {
            self.say(Word::Agent, 0, agent.id.clone().into_bytes())?;
        }
        for context in content.contexts {
            if let named::Place::Local(root) = context.place {
                self.say(Word::Context, 0, context.name.into_bytes())?;
                let ignore = rules(&root.join(".dockerignore"))?.unwrap_or_default();
                let keep = vec![".dockerignore".to_owned()];
                let tree = Tree {
                    root,
                    ignore,
                    keep,
                    ..Tree::default()
                };
                tree.walk(self)?;
                self.flush()?;
            }
        }
        match (content.source, content.input) {
            (Source::Remote { .. }, _) => {}
            (Source::Directory(directory), _) => {
                self.say(Word::Context, 0, Bytes::new())?;
                directory.into_tree().walk(self)?;
            }
            (Source::Dockerfile(text), _) => {
                self.say(Word::Context, 0, Bytes::new())?;
                let entry = Archived::new("Dockerfile", Kind::File, 0o600);
                self.text(entry, &text)?;
            }
            (Source::Archive { .. }, input) => {
                self.say(Word::Context, 0, Bytes::new())?;
                let mut input = input.ok_or_else(|| Error::new("there is no archive"))?;
                let mut buffer = vec![0; PIECE];
                loop {
                    let count = input.read(&mut buffer)?;
                    self.say(Word::Archive, 0, buffer[..count].to_vec())?;
                    if count == 0 {
                        break;
                    }
                }
            }
        }
        self.flush()?;
        for directory in content.caches {
            self.cache(directory)?;
        }
        self.say(Word::Ready, 0, Bytes::new())?;
        self.hashes.save();
        Ok(())
    }

    /// Tells what is in a directory of a cache.
    fn cache(&mut self, directory: String) -> Result<()> {
        let found = layout::find(Path::new(&directory))?;
        self.say(Word::Cache, 0, directory.into_bytes())?;
        let file = |name: &str| Archived::new(name, Kind::File, 0o644);
        if let Some(index) = found.index {
            self.text(file("index.json"), &index)?;
        }
        for (path, digest, size) in found.blobs {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let entry = file(&format!("blobs/sha256/{name}"));
            self.add(entry, What::File(size, digest), Place::File(path, digest))?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let entries = std::mem::take(&mut self.entries);
        match entries.is_empty() {
            true => Ok(()),
            false => self.say(Word::Entries, 0, entries),
        }
    }

    fn add(&mut self, entry: Archived, what: What, place: Place) -> Result<()> {
        let mut path = entry.path;
        if path.ends_with(b"/") {
            path.pop();
        }
        let told = Entry {
            path,
            mode: entry.mode,
            time: entry.mtime.seconds,
            what,
            xattrs: entry.xattrs,
        };
        told.write(&mut self.entries);
        self.places.push(place);
        match self.entries.len() < PIECE {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Sends the bytes of what is asked for, until nobody asks any more.
    fn answer(&mut self, wanted: &sync::Receiver<Vec<u32>>) -> Result<()> {
        while let Ok(numbers) = wanted.recv() {
            for number in numbers {
                let why = match self.places.get(number as usize) {
                    Some(Place::Text(text)) => {
                        for piece in text.chunks(PIECE) {
                            self.say(Word::Data, number, piece.to_vec())?;
                        }
                        Ok(())
                    }
                    Some(Place::File(path, digest)) => {
                        let sent = self.send(number, path, digest)?;
                        if sent.is_err() {
                            let digest = *digest;
                            self.hashes.forget(&digest);
                            self.hashes.save();
                        }
                        sent
                    }
                    Some(Place::Nowhere) | None => Err("it is no file".to_owned()),
                };
                let why = why.err().unwrap_or_default();
                self.say(Word::End, number, why.into_bytes())?;
            }
        }
        Ok(())
    }

    /// Sends a file; what is wrong with it, where something is.
    fn send(
        &self,
        number: u32,
        path: &Path,
        digest: &[u8; 32],
    ) -> Result<std::result::Result<(), String>> {
        let mut file = match open(path) {
            Ok((file, _)) => file,
            Err(error) => return Ok(Err(error.message)),
        };
        let mut hash = Sha256::new();
        loop {
            let mut buffer = vec![0; PIECE];
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Ok(Err(refused(path, &error).message)),
            };
            buffer.truncate(count);
            hash.update(&buffer);
            self.say(Word::Data, number, buffer)?;
        }
        let found: [u8; 32] = hash.finalize().into();
        Ok(match found == *digest {
            true => Ok(()),
            false => Err(changed(path).message),
        })
    }
}

impl Take for Teller {
    fn entry(&mut self, entry: Archived) -> Result<()> {
        let (major, minor) = entry.device;
        let what = match entry.kind {
            Kind::Directory => What::Directory,
            Kind::Symlink => What::Symlink(entry.link.clone()),
            Kind::HardLink => What::HardLink(entry.link.clone()),
            Kind::Fifo => What::Fifo,
            Kind::CharacterDevice => What::Character(major, minor),
            Kind::BlockDevice => What::Block(major, minor),
            Kind::File => return self.text(entry, b""),
        };
        self.add(entry, what, Place::Nowhere)
    }

    fn file(&mut self, entry: Archived, path: &Path, status: &Metadata) -> Result<()> {
        let (digest, size) = match self.hashes.find(status) {
            Some(digest) => (digest, status.len()),
            None => {
                let began = SystemTime::now();
                let (mut file, before) = match open(path) {
                    Ok(opened) => opened,
                    // It went since its directory was read.
                    Err(_) if !path.exists() => return Ok(()),
                    Err(error) => return Err(error),
                };
                let mut hash = Sha256::new();
                let read = io::copy(&mut file, &mut Hashing(&mut hash));
                let size = read.map_err(|error| refused(path, &error))?;
                let after = file.metadata().map_err(|error| refused(path, &error))?;
                if size != before.len() || !same(&before, &after) {
                    return Err(changed(path));
                }
                let digest = hash.finalize().into();
                self.hashes.learn(&after, began, digest);
                (digest, size)
            }
        };
        let place = Place::File(path.to_owned(), digest);
        self.add(entry, What::File(size, digest), place)
    }

    fn text(&mut self, entry: Archived, text: &[u8]) -> Result<()> {
        let digest = Sha256::digest(text).into();
        let what = What::File(text.len() as u64, digest);
        self.add(entry, what, Place::Text(text.to_vec()))
    }
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file, and nothing else that came in its place.
fn open(path: &Path) -> Result<(File, Metadata)> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| refused(path, &error))?;
    let status = file.metadata().map_err(|error| refused(path, &error))?;
    match status.is_file() {
        true => Ok((file, status)),
        false => Err(changed(path)),
    }
}

fn same(before: &Metadata, after: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let times = |status: &Metadata| (status.mtime(), status.mtime_nsec(), status.len());
    times(before) == times(after)
}

/// What a context is known by from build to build: where it is, on which machine.
fn key(root: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut hash = Sha256::new();
    hash.update(rustix::system::uname().nodename().to_bytes());
    hash.update([0]);
    hash.update(root.as_os_str().as_bytes());
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
