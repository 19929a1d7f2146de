//! The engine's own session: one connection on which a client tells of its contexts by what their files are known by, and
//! gives the bytes of those that a step really needs; which carries secrets there, streams to agents both ways, and the
//! news back. What is said is `onggi_api::session`; BuildKit's way in would be another file like this one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use onggi_api::session::{AGENTS, Entry, Frame, Frames, What, Word, pair, unpair};
use onggi_api::stream::Message;
use onggi_archive::{Entry as Archived, Kind, Time};
use onggi_builder::files::{Bounds, Content, Contents, Error as FilesError, Index, Listing};
use onggi_model::chain;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::StreamReader;

use super::caches::Caches;
use super::context::{self, LONGEST_SECRET, SECRETS};
use super::kept::{Kept, Places};
use super::layout::Directory;
use crate::error::{Error, Result};

/// Frames that may wait for the other side.
const QUEUE: usize = 64;
/// Entries that are asked for at once.
const ASKED: usize = 16 << 10;
/// What is read of an agent's client at once.
const READ: usize = 16 << 10;
/// What is read of a file of a cache at once.
const PIECE: usize = 128 << 10;
/// The longest name of a context, a secret, an agent.
const NAME: usize = 1024;

/// What a client told before anything was built.
pub(super) struct Announced {
    pub(super) contexts: BTreeMap<Option<String>, Arc<Index>>,
    pub(super) secrets: BTreeMap<String, Vec<u8>>,
    /// Caches, by the directories they are in.
    pub(super) caches: BTreeMap<String, Arc<Directory>>,
    pub(super) wire: Arc<Wire>,
}

/// What can be asked of a client while it builds.
pub(super) struct Wire {
    out: mpsc::Sender<Frame>,
    agents: Mutex<BTreeSet<String>>,
    /// Streams that are open, to agents and to files of caches, by their numbers.
    streams: Mutex<HashMap<u32, mpsc::Sender<Bytes>>>,
    next: AtomicU32,
    /// Bytes of the files of all contexts.
    announced: Mutex<u64>,
    files: Mutex<Files>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// The bytes of files, as far as they are here.
struct Files {
    answers: mpsc::Receiver<Frame>,
    places: Places,
    kept: Option<Kept>,
    /// Where they go that come.
    spool: Option<Arc<File>>,
    at: u64,
    /// What came.
    records: Vec<([u8; 32], u64, u64)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone() -> FilesError {
    FilesError::wrong("the client is gone before it sent what was asked of it")
}

impl Contents for Wire {
    fn fetch(&self, wanted: &[Content]) -> Result<(), FilesError> {
        let mut files = lock(&self.files);
        let mut missing = Vec::new();
        let mut asked = HashSet::new();
        for content in wanted {
            let is_here = |(size, ..): &(u64, Arc<File>, u64)| *size == content.size;
            if !files.places.get(&content.digest).is_some_and(is_here)
                && asked.insert(content.digest)
            {
                missing.push(*content);
            }
        }
        for wanted in missing.chunks(ASKED) {
            let number = |content: &Content| u32::try_from(content.at).unwrap_or(0);
            let numbers = wanted.iter().map(number);
            let payload: Vec<u8> = numbers.flat_map(u32::to_be_bytes).collect();
            let frame = Frame::new(Word::Want, 0, payload);
            self.out.blocking_send(frame).map_err(|_| gone())?;
            for content in wanted {
                files.receive(content)?;
            }
        }
        Ok(())
    }

    fn open(&self, content: &Content) -> Result<(Arc<File>, u64), FilesError> {
        let files = lock(&self.files);
        let (_, file, at) = files.places.get(&content.digest).ok_or_else(gone)?;
        Ok((file.clone(), *at))
    }
}

impl Files {
    /// Takes in the bytes of one file, which come next.
    fn receive(&mut self, content: &Content) -> Result<(), FilesError> {
        let spool = self.spool.clone().ok_or_else(gone)?;
        let (begin, mut at) = (self.at, self.at);
        let taken = self.take(content, |bytes| {
            spool.write_all_at(bytes, at)?;
            at += bytes.len() as u64;
            Ok(())
        });
        self.at = at;
        taken?;
        let place = (content.size, spool, begin);
        self.places.insert(content.digest, place);
        self.records.push((content.digest, begin, content.size));
        Ok(())
    }

    /// Hands on the bytes of one file, which come next. They are what was announced where it succeeds.
    fn take(
        &mut self,
        content: &Content,
        mut to: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), FilesError> {
        let changed = || {
            FilesError::wrong(
                "a file of the build context changed while it was sent: build again when nobody writes to it",
            )
        };
        let mut left = content.size;
        let mut hash = Sha256::new();
        loop {
            let frame = self.answers.blocking_recv().ok_or_else(gone)?;
            if u64::from(frame.number) != content.at {
                return Err(FilesError::wrong("the client sent what nobody asked for"));
            }
            if frame.word == Word::End {
                if !frame.payload.is_empty() {
                    let why = String::from_utf8_lossy(&frame.payload);
                    return Err(FilesError::wrong(why));
                }
                break;
            }
            hash.update(&frame.payload);
            let size = frame.payload.len() as u64;
            left = left.checked_sub(size).ok_or_else(changed)?;
            to(&frame.payload).map_err(FilesError::disk("keep a file of the build context", ""))?;
        }
        let digest: [u8; 32] = hash.finalize().into();
        match left == 0 && digest == content.digest {
            true => Ok(()),
            false => Err(changed()),
        }
    }
}

impl Wire {
    /// Writes the bytes of a file that the client has. Blocks.
    pub(super) fn carry(
        &self,
        content: &Content,
        to: &mut dyn std::io::Write,
    ) -> Result<(), FilesError> {
        let mut files = lock(&self.files);
        let number = u32::try_from(content.at).unwrap_or(0);
        let frame = Frame::new(Word::Want, 0, number.to_be_bytes().to_vec());
        self.out.blocking_send(frame).map_err(|_| gone())?;
        files.take(content, |bytes| to.write_all(bytes))
    }

    /// Gives the client a file of a cache, and waits until it has it.
    pub(super) async fn give(
        &self,
        cache: &str,
        blob: &str,
        mut bytes: impl AsyncRead + Unpin,
    ) -> Result<()> {
        let number = AGENTS | self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, mut answers) = mpsc::channel(QUEUE);
        lock(&self.streams).insert(number, sender);
        let _gone = Gone(self, number);
        let failed = |why: &str| Error::invalid(format!("the client cannot write it: {why}"));
        let say = |word, payload: Bytes| async move {
            let said = self.out.send(Frame::new(word, number, payload)).await;
            said.map_err(|_| Error::invalid("the client is gone"))
        };
        let give = async {
            say(Word::Keep, pair(cache.as_bytes(), blob.as_bytes()).into()).await?;
            loop {
                let mut buffer = BytesMut::with_capacity(PIECE);
                let read = bytes.read_buf(&mut buffer).await;
                if read.map_err(|e| Error::io("read a layer", e))? == 0 {
                    return say(Word::End, Bytes::new()).await;
                }
                say(Word::Data, buffer.freeze()).await?;
            }
        };
        let told = tokio::select! {
            given = give => {
                given?;
                answers.recv().await
            }
            // One that cannot take it does not wait for the end of it.
            told = answers.recv() => Some(told.unwrap_or_else(|| Bytes::from("it does not say why"))),
        };
        match told {
            None => Ok(()),
            Some(why) => Err(failed(&String::from_utf8_lossy(&why))),
        }
    }

    /// Whether the client has an agent of this name.
    pub(super) fn has_agent(&self, id: &str) -> bool {
        lock(&self.agents).contains(id)
    }

    /// Has somebody in a step speak with an agent of the client, until either is done.
    pub(super) async fn speak_with_agent(&self, id: &str, stream: UnixStream) {
        let number = AGENTS | self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, mut answers) = mpsc::channel(QUEUE);
        lock(&self.streams).insert(number, sender);
        let _gone = Gone(self, number);
        let open = Frame::new(Word::Open, number, id.as_bytes().to_vec());
        if self.out.send(open).await.is_err() {
            return;
        }
        let (mut read, mut write) = stream.into_split();
        let asks = async {
            let mut buffer = BytesMut::with_capacity(READ);
            loop {
                match read.read_buf(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {
                        let data = Frame::new(Word::Data, number, buffer.split().freeze());
                        if self.out.send(data).await.is_err() {
                            break;
                        }
                        buffer.reserve(READ);
                    }
                }
            }
        };
        let answers = async {
            while let Some(bytes) = answers.recv().await {
                if write.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = asks => {}
            () = answers => {}
        }
        let _ = self
            .out
            .send(Frame::new(Word::End, number, Bytes::new()))
            .await;
    }

    /// What came for a stream.
    fn said(&self, frame: Frame) {
        let mut streams = lock(&self.streams);
        let is_last = frame.word == Word::End;
        let taken = match streams.get(&frame.number) {
            Some(_) if is_last && frame.payload.is_empty() => false,
            Some(stream) => stream.try_send(frame.payload).is_ok() && !is_last,
            None => false,
        };
        // One that does not read what it asked for is cut off: others wait behind it.
        if !taken {
            streams.remove(&frame.number);
        }
    }

    /// Opens what is kept of the context that the client calls `key`, and a spool for what comes. Blocks.
    fn begin(&self, caches: &Caches, key: Option<&str>, place: &std::path::Path) -> Result<()> {
        let mut files = lock(&self.files);
        if let Some(key) = key {
            let opened = Kept::open(caches, key).and_then(|(kept, places)| {
                let spool = kept.spool()?;
                Ok((kept, places, spool))
            });
            match opened {
                Ok((kept, places, spool)) => {
                    files.places = places;
                    (files.kept, files.spool) = (Some(kept), Some(Arc::new(spool)));
                    return Ok(());
                }
                Err(error) => tracing::warn!(%error, "nothing is kept of a build context"),
            }
        }
        files.spool = Some(Arc::new(context::spool(place)?));
        Ok(())
    }

    /// Keeps what the client sent for its next build. Blocks.
    pub(super) fn keep(&self) {
        let announced = *lock(&self.announced);
        let files = lock(&self.files);
        if let (Some(kept), Some(spool)) = (&files.kept, &files.spool)
            && let Err(error) = kept.keep(spool, &files.records, announced)
        {
            tracing::warn!(%error, "what a client sent is not kept");
        }
    }
}

/// A stream that is over.
struct Gone<'a>(&'a Wire, u32);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        lock(&self.0.streams).remove(&self.1);
    }
}

/// A session that has begun.
pub(super) struct Session<R> {
    ears: Ears<R>,
    answers: mpsc::Sender<Frame>,
    out: mpsc::Sender<Frame>,
    /// Ends the mouth, whoever else could speak.
    close: oneshot::Sender<()>,
    mouth: tokio::task::JoinHandle<Option<()>>,
    wire: Arc<Wire>,
}

struct Ears<R> {
    read: R,
    frames: Frames,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Ears<R> {
    /// What the client says next; nothing when it is gone.
    async fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            let next = self.frames.next();
            if let Some(frame) = next.map_err(|error| Error::invalid(error.to_string()))? {
                return Ok(Some(frame));
            }
            self.buffer.clear();
            self.buffer.reserve(128 << 10);
            match self.read.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => self.frames.push(&self.buffer),
            }
        }
    }
}

/// Begins to speak with a client.
pub(super) fn begin<S>(connection: S) -> Session<tokio::io::ReadHalf<S>>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(connection);
    let (out, frames) = mpsc::channel(QUEUE);
    let (answers, answered) = mpsc::channel(QUEUE);
    let (close, closed) = oneshot::channel();
    let mouth = onggi_rt::spawn("speak in a session", speak(write, frames, closed));
    Session {
        ears: Ears {
            read,
            frames: Frames::default(),
            buffer: BytesMut::new(),
        },
        answers,
        out: out.clone(),
        close,
        mouth,
        wire: Arc::new(Wire {
            out,
            agents: Mutex::default(),
            streams: Mutex::default(),
            next: AtomicU32::new(0),
            announced: Mutex::new(0),
            files: Mutex::new(Files {
                answers: answered,
                places: Places::new(),
                kept: None,
                spool: None,
                at: 0,
                records: Vec::new(),
            }),
        }),
    }
}

/// Writes what is to be said, until it is closed and all was said.
async fn speak(
    write: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Frame>,
    mut closed: oneshot::Receiver<()>,
) {
    let mut write = BufWriter::with_capacity(64 << 10, write);
    let mut is_open = true;
    loop {
        let frame = tokio::select! {
            biased;
            frame = frames.recv() => frame,
            _ = &mut closed, if is_open => {
                is_open = false;
                frames.close();
                continue;
            }
        };
        let Some(frame) = frame else { break };
        let written = async {
            write.write_all(&frame.header()).await?;
            write.write_all(&frame.payload).await?;
            match frames.is_empty() {
                true => write.flush().await,
                false => Ok(()),
            }
        };
        if written.await.is_err() {
            // The client is gone, which is heard as well.
            return;
        }
    }
    let _ = write.shutdown().await;
}

/// A context that comes.
enum Coming {
    Listed(Box<Listing>),
    Archive(
        Option<mpsc::Sender<std::io::Result<Bytes>>>,
        tokio::task::JoinHandle<Option<Result<Index>>>,
    ),
    /// Not a context, but the files of a cache.
    Cache(Directory),
}

impl<R: AsyncRead + Unpin> Session<R> {
    /// Hears what the client announces; nothing when it goes meanwhile.
    pub(super) async fn announced(
        &mut self,
        caches: &Caches,
        place: PathBuf,
    ) -> Result<Option<Announced>> {
        let broken = |why: &str| Error::invalid(format!("broken session of a build: {why}"));
        let mut key: Option<String> = None;
        let mut coming: Vec<(Option<String>, Option<Coming>)> = Vec::new();
        let mut secrets = BTreeMap::new();
        let mut secret_bytes = 0;
        let mut number = 0_u32;
        loop {
            let Some(frame) = self.ears.next().await? else {
                return Ok(None);
            };
            let text = || -> Result<String> {
                let text = std::str::from_utf8(&frame.payload).ok();
                let text = text.filter(|text| text.len() <= NAME);
                Ok(text
                    .ok_or_else(|| broken("a name that is none"))?
                    .to_owned())
            };
            match frame.word {
                Word::Key => {
                    let name = text()?;
                    if name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return Err(broken("a key that is none"));
                    }
                    key = Some(name);
                }
                Word::Context => {
                    let name = text()?;
                    let name = Some(name).filter(|name| !name.is_empty());
                    coming.push((name, None));
                }
                Word::Cache => {
                    let cache = Coming::Cache(Directory::new(self.wire.clone()));
                    coming.push((Some(text()?), Some(cache)));
                }
                Word::Entries => {
                    let (_, coming) = coming.last_mut().ok_or_else(|| broken("no context"))?;
                    let new = || {
                        let listing = Listing::new(self.wire.clone(), Bounds::default());
                        Coming::Listed(Box::new(listing))
                    };
                    let coming = coming.get_or_insert_with(new);
                    let mut rest = &frame.payload[..];
                    while !rest.is_empty() {
                        let entry = Entry::read(&mut rest);
                        let entry = entry.map_err(|error| Error::invalid(error.to_string()))?;
                        match coming {
                            Coming::Cache(cache) => cache.add(&entry, number),
                            Coming::Archive(..) => return Err(broken("entries of an archive")),
                            Coming::Listed(listing) => {
                                let (entry, content) = archived(entry, number);
                                *lock(&self.wire.announced) += entry.size;
                                let added = listing.add(&entry, content);
                                added.map_err(|fault| {
                                    Error::of(&fault).context("the build context cannot be taken")
                                })?;
                            }
                        }
                        number = number
                            .checked_add(1)
                            .filter(|number| *number < AGENTS)
                            .ok_or_else(|| broken("too many entries"))?;
                    }
                }
                Word::Archive => {
                    let (_, coming) = coming.last_mut().ok_or_else(|| broken("no context"))?;
                    let coming = match coming {
                        Some(coming) => coming,
                        none => none.insert(archive(place.clone())),
                    };
                    let Coming::Archive(pieces, _) = coming else {
                        return Err(broken("an archive among entries"));
                    };
                    match (frame.payload.is_empty(), &pieces) {
                        (true, _) => *pieces = None,
                        // Whoever does not take it any more says why.
                        (false, Some(to)) => drop(to.send(Ok(frame.payload)).await),
                        (false, None) => return Err(broken("an archive behind its end")),
                    }
                }
                Word::Secret => {
                    let secret = unpair(&frame.payload);
                    let (id, value) = secret.ok_or_else(|| broken("a secret that is none"))?;
                    secret_bytes += value.len();
                    if value.len() as u64 > LONGEST_SECRET || secret_bytes > SECRETS {
                        return Err(Error::invalid(format!(
                            "secret {id} is larger than {LONGEST_SECRET} bytes"
                        )));
                    }
                    secrets.insert(id.to_owned(), value.to_vec());
                }
                Word::Agent => drop(lock(&self.wire.agents).insert(text()?)),
                Word::Ready => break,
                Word::Data | Word::End | Word::Message | Word::Want | Word::Open | Word::Keep => {
                    return Err(broken("an answer to nothing"));
                }
            }
        }
        let (mut contexts, mut directories) = (BTreeMap::new(), BTreeMap::new());
        for (name, coming) in coming {
            let index = match coming {
                Some(Coming::Cache(cache)) => {
                    directories.insert(name.unwrap_or_default(), Arc::new(cache));
                    continue;
                }
                None => Listing::new(self.wire.clone(), Bounds::default()).finish(),
                Some(Coming::Listed(listing)) => listing.finish(),
                Some(Coming::Archive(pieces, work)) => {
                    drop(pieces);
                    let done = work.await.ok().flatten();
                    done.ok_or_else(|| Error::internal("an archive was not received"))??
                }
            };
            contexts.insert(name, Arc::new(index));
        }
        let (wire, caches) = (self.wire.clone(), caches.clone());
        onggi_rt::blocking("look what is kept of a context", move || {
            wire.begin(&caches, key.as_deref(), &place)
        })
        .await??;
        Ok(Some(Announced {
            contexts,
            secrets,
            caches: directories,
            wire: self.wire.clone(),
        }))
    }

    /// Passes on what the client says; returns when it is gone.
    pub(super) async fn listen(&mut self) {
        loop {
            let frame = match self.ears.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!("{error}");
                    return;
                }
            };
            match frame.word {
                Word::Data | Word::End if frame.number < AGENTS => {
                    // Nobody asks any more: what comes is of a step that has failed.
                    let _ = self.answers.send(frame).await;
                }
                Word::Data | Word::End => self.wire.said(frame),
                _ => return,
            }
        }
    }

    /// Where messages go.
    pub(super) fn out(&self) -> mpsc::Sender<Frame> {
        self.out.clone()
    }

    /// Says the last of it, and ends.
    pub(super) async fn end(self, last: Option<Message>) {
        if let Some(last) = last {
            let _ = self.out.send(told(&last)).await;
        }
        let _ = self.close.send(());
        // A client that takes nothing any more keeps nobody.
        let mut ears = self.ears;
        tokio::select! {
            _ = self.mouth => {}
            () = async { while let Ok(Some(_)) = ears.next().await {} } => {}
        }
    }
}

/// A message as it is said.
pub(super) fn told(message: &Message) -> Frame {
    Frame::new(Word::Message, 0, message.encode(false))
}

/// Receives an archive as it comes.
fn archive(place: PathBuf) -> Coming {
    let (pieces, coming) = mpsc::channel::<std::io::Result<Bytes>>(QUEUE);
    let stream = futures_util::stream::unfold(coming, |mut coming| async {
        let piece = coming.recv().await?;
        Some((piece, coming))
    });
    let reader = onggi_rt::Reader::new(Box::pin(StreamReader::new(Box::pin(stream))));
    let work = onggi_rt::spawn("receive a build context", async move {
        let work = move || context::received_index(reader, &place);
        match onggi_rt::blocking("receive a build context", work).await {
            Ok(received) => received,
            Err(error) => Err(Error::from(error)),
        }
    });
    Coming::Archive(Some(pieces), work)
}

/// An entry as archives have it. All of a client's files are root's.
fn archived(entry: Entry, number: u32) -> (Archived, Option<Content>) {
    let mut content = None;
    let mut archived = Archived::new(entry.path, Kind::Directory, entry.mode);
    match entry.what {
        What::Directory => {}
        What::File(size, digest) => {
            archived.kind = Kind::File;
            archived.size = size;
            let at = u64::from(number);
            content = Some(Content { digest, size, at });
        }
        What::Symlink(target) => (archived.kind, archived.link) = (Kind::Symlink, target),
        What::HardLink(target) => (archived.kind, archived.link) = (Kind::HardLink, target),
        What::Fifo => archived.kind = Kind::Fifo,
        What::Character(major, minor) => {
            (archived.kind, archived.device) = (Kind::CharacterDevice, (major, minor));
        }
        What::Block(major, minor) => {
            (archived.kind, archived.device) = (Kind::BlockDevice, (major, minor));
        }
    }
    archived.mtime = Time {
        seconds: entry.time,
        nanoseconds: 0,
    };
    archived.xattrs = entry.xattrs;
    (archived, content)
}

/// What a build that failed is told as.
pub(super) fn failure(fault: &Error) -> Message {
    Message::failed(chain(fault), onggi_model::Fault::exit(fault))
}
