//! What a client sends: a tar of the context, compressed or not, or what it tells in a session ([`super::session`]).
//! It is read into an index and a spool without a name: no file is made until a step needs it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onggi_archive::decompress;
use onggi_builder::View;
use onggi_builder::files::{Bounds, Index, Tree, receive, unfold};
use onggi_dockerfile::ignore::Ignore;
use onggi_snapshot::LayerDir;
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::io::AsyncRead;
use tokio::sync::Mutex;

use super::BuildOptions;
use super::layout::Directory;
use super::session::{Announced, Wire};
use crate::Engine;
use crate::error::{Error, Result};

/// The longest Dockerfile and list of what is ignored that is read.
const LONGEST: u64 = 16 << 20;
/// The longest secret, as BuildKit has it.
pub(super) const LONGEST_SECRET: u64 = 500 << 10;
/// All secrets together.
pub(super) const SECRETS: usize = 64 << 20;

/// The files of a build, as long as it takes.
pub(super) struct Contexts {
    place: Arc<LayerDir>,
    /// What a client sent to be seen by single commands: in memory alone.
    secrets: BTreeMap<String, Vec<u8>>,
    /// The client, where it can be asked for more.
    wire: Option<Arc<Wire>>,
    /// Caches in directories of the client, by what it calls those.
    caches: BTreeMap<String, Arc<Directory>>,
    views: BTreeMap<Option<String>, View>,
    /// Parts of contexts that are files by now, by context and path.
    unfolded: Mutex<BTreeMap<(Option<String>, String), PathBuf>>,
}

/// Where the files are.
enum Root {
    Directory(PathBuf),
    Index(Arc<Index>),
}

impl Contexts {
    /// Takes what comes, or fetches what the client names.
    pub(super) async fn receive(
        engine: &Engine,
        options: &BuildOptions,
        body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Self> {
        let place = Arc::new(engine.inner.snapshots.begin_layer()?);
        let root = match &options.remote {
            None => {
                let (archive, into) = (onggi_rt::Reader::new(body), place.clone());
                let received = onggi_rt::blocking("receive a build context", move || {
                    let index = received_index(archive, &into.path)?;
                    settled(Arc::new(index), &into.path, "files")
                });
                received.await??
            }
            Some(remote) => Root::Directory(fetch(engine, remote, &place.path).await?),
        };
        let roots = BTreeMap::from([(None, root)]);
        Self::of(roots, place, options).await
    }

    /// Takes what a client announced in a session, and fetches what it names.
    pub(super) async fn announced(
        engine: &Engine,
        options: &BuildOptions,
        announced: Announced,
        place: Arc<LayerDir>,
    ) -> Result<Self> {
        let into = place.clone();
        let indexes = announced.contexts;
        let settle = move || {
            let indexes = indexes.into_iter().enumerate();
            let roots = indexes.map(|(number, (name, index))| {
                let root = settled(index, &into.path, &format!("files-{number}"))?;
                Ok((name, root))
            });
            roots.collect::<Result<BTreeMap<_, _>>>()
        };
        let mut roots = onggi_rt::blocking("look at build contexts", settle).await??;
        if let Some(remote) = &options.remote {
            let root = fetch(engine, remote, &place.path).await?;
            roots.insert(None, Root::Directory(root));
        }
        let mut contexts = Self::of(roots, place, options).await?;
        contexts.secrets = announced.secrets;
        contexts.caches = announced.caches;
        contexts.wire = Some(announced.wire);
        Ok(contexts)
    }

    async fn of(
        roots: BTreeMap<Option<String>, Root>,
        place: Arc<LayerDir>,
        options: &BuildOptions,
    ) -> Result<Self> {
        let (into, dockerfile) = (place.clone(), dockerfile_name(options));
        // A client may have to be asked for the lists of what is ignored.
        let found = onggi_rt::blocking("look at build contexts", move || {
            views(&roots, &dockerfile, &into)
        });
        Ok(Self {
            views: found.await??,
            place,
            secrets: BTreeMap::new(),
            wire: None,
            caches: BTreeMap::new(),
            unfolded: Mutex::default(),
        })
    }

    /// The cache in a directory of the client.
    ///
    /// # Errors
    /// `InvalidParameter` where the client has not told of it.
    pub(super) fn cache(&self, directory: &str) -> Result<Arc<Directory>> {
        let told = self.caches.get(directory).cloned();
        told.ok_or_else(|| Error::invalid(format!(
            "a cache of type=local is in the hands of the client, which tells of it in a session: build with onggi build, or use type=registry,ref=NAME instead of {directory}",
        )))
    }

    /// The client, where it has an agent of this name.
    pub(super) fn agent(&self, id: &str) -> Option<Arc<Wire>> {
        self.wire.clone().filter(|wire| wire.has_agent(id))
    }

    /// Where what is at a path of a context is, as files.
    pub(super) async fn unfolded(&self, name: Option<&str>, path: &str) -> Result<PathBuf> {
        let name = name.map(str::to_owned);
        let view = self
            .views
            .get(&name)
            .ok_or_else(|| Error::invalid("there is no such build context"))?
            .clone();
        if let Some(root) = view.tree().path() {
            return real(&root, path);
        }
        let mut unfolded = self.unfolded.lock().await;
        let key = (name, path.to_owned());
        if let Some(there) = unfolded.get(&key) {
            return Ok(there.clone());
        }
        let (place, path) = (self.place.clone(), path.to_owned());
        let name = format!("part-{}", unfolded.len());
        let made = place.path.join(&name);
        let work = onggi_rt::blocking("make files of a build context", move || {
            let to = directory(&place.path)?;
            unfold(view.tree(), &path, to.as_fd(), &name).map_err(|fault| Error::of(&fault))
        });
        work.await??;
        unfolded.insert(key, made.clone());
        Ok(made)
    }

    /// A secret, where the client sent it.
    pub(super) fn secret(&self, id: &str) -> Option<&[u8]> {
        self.secrets.get(id).map(Vec::as_slice)
    }

    pub(super) fn views(&self) -> BTreeMap<Option<String>, View> {
        self.views.clone()
    }

    /// The Dockerfile.
    ///
    /// # Errors
    /// `InvalidParameter` where there is none, or an empty one.
    pub(super) async fn dockerfile(&self, options: &BuildOptions) -> Result<Vec<u8>> {
        let name = dockerfile_name(options);
        let missing = || {
            Error::invalid(format!(
                "failed to read dockerfile: open {name}: no such file or directory"
            ))
        };
        let view = self.views.get(&None).ok_or_else(missing)?.clone();
        let path = name.clone();
        let read = onggi_rt::blocking("read a Dockerfile", move || {
            let read = view.tree().read(&path, LONGEST);
            read.map_err(|fault| Error::of(&fault))
        });
        let read = read.await??;
        let text = read
            .ok_or_else(|| Error::invalid(format!("Cannot locate specified Dockerfile: {name}")))?;
        match text.is_empty() {
            true => Err(Error::invalid(format!(
                "The Dockerfile ({name}) cannot be empty"
            ))),
            false => Ok(text),
        }
    }
}

/// A repository, an archive, or a Dockerfile alone.
async fn fetch(engine: &Engine, remote: &str, into: &Path) -> Result<PathBuf> {
    let client = engine.inner.images.registry();
    let context = onggi_builder::fetch::context(client, remote, into).await;
    let tree = context.map_err(|fault| Error::of(&fault))?;
    tree.path()
        .ok_or_else(|| Error::internal("what was fetched is nowhere"))
}

/// Reads a tar, compressed or not.
pub(super) fn received_index(archive: impl Read + Send, into: &Path) -> Result<Index> {
    let (_, tar) = decompress(archive).map_err(|fault| Error::of(&fault))?;
    receive(tar, spool(into)?, Bounds::default())
        .map_err(|fault| Error::of(&fault).context("the build context cannot be unpacked"))
}

/// An index as what is built with: files, where it needs to be.
fn settled(index: Arc<Index>, into: &Path, name: &str) -> Result<Root> {
    if !index.needs_files() {
        return Ok(Root::Index(index));
    }
    let tree = Tree::listed(index, "", "context")
        .ok_or_else(|| Error::internal("an index without a root"))?;
    let to = directory(into)?;
    unfold(&tree, "", to.as_fd(), name).map_err(|fault| Error::of(&fault))?;
    Ok(Root::Directory(into.join(name)))
}

/// A file that goes with whoever has it open.
pub(super) fn spool(place: &Path) -> Result<File> {
    let failed = |e| Error::io("keep the build context", e);
    // Several contexts come side by side.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = place.join(format!("spool-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let file = file.map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(file)
}

/// The main context and those with names.
fn views(
    roots: &BTreeMap<Option<String>, Root>,
    dockerfile: &str,
    place: &Arc<LayerDir>,
) -> Result<BTreeMap<Option<String>, View>> {
    let mut views = BTreeMap::new();
    for (name, root) in roots {
        let (called, dockerfile) = match name {
            None => ("context", dockerfile),
            Some(name) => (name.as_str(), "Dockerfile"),
        };
        let tree = match root {
            Root::Directory(path) => Tree::new(directory(path)?, called),
            Root::Index(index) => Tree::listed(index.clone(), "", called)
                .ok_or_else(|| Error::internal("an index without a root"))?,
        };
        let ignore = ignored(&tree, dockerfile)?;
        let view = View::new(tree.ignoring(ignore), place.clone());
        views.insert(name.clone(), view);
    }
    Ok(views)
}

fn directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, path, flags, Mode::empty())
        .map_err(|errno| Error::io("open the build context", errno))
}

/// A path below a context, its links resolved and never out of it.
fn real(context: &Path, below: &str) -> Result<PathBuf> {
    let root = directory(context)?;
    let followed = crate::container::place::follow(root.as_fd(), below.as_bytes())
        .map_err(|error| Error::io(format!("\"/{below}\""), error))?;
    let path = context.join(std::ffi::OsStr::from_bytes(&followed));
    match std::fs::symlink_metadata(&path) {
        Ok(_) => Ok(path),
        Err(_) => Err(Error::invalid(format!("\"/{below}\": not found"))),
    }
}

fn dockerfile_name(options: &BuildOptions) -> String {
    match options.dockerfile.as_str() {
        "" => "Dockerfile".to_owned(),
        name => name.to_owned(),
    }
}

/// What is ignored: by the list of this very Dockerfile, else by that of the context.
fn ignored(tree: &Tree, dockerfile: &str) -> Result<Ignore> {
    for name in [
        format!("{dockerfile}.dockerignore"),
        ".dockerignore".to_owned(),
    ] {
        let read = tree
            .read(&name, LONGEST)
            .map_err(|fault| Error::of(&fault))?;
        if let Some(text) = read {
            let text = String::from_utf8_lossy(&text);
            return Ignore::parse(&text).map_err(|fault| Error::of(&fault).context(name));
        }
    }
    Ok(Ignore::default())
}
