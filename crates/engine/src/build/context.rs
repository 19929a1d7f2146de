//! What a client sends: a tar of the context, compressed or not; from our own client one with named contexts and secrets.
//! It is read into an index and a spool without a name: no file is made until a step needs it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onggi_archive::decompress;
use onggi_builder::View;
use onggi_builder::files::{Aside, Bounds, Index, Tree, receive, unfold};
use onggi_dockerfile::ignore::Ignore;
use onggi_snapshot::LayerDir;
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::io::AsyncRead;
use tokio::sync::Mutex;
use tokio_util::io::SyncIoBridge;

use super::BuildOptions;
use crate::Engine;
use crate::error::{Error, Result};

/// The longest Dockerfile and list of what is ignored that is read.
const LONGEST: u64 = 16 << 20;
/// The longest secret, as BuildKit has it.
const LONGEST_SECRET: u64 = 500 << 10;
/// All secrets together.
const SECRETS: usize = 64 << 20;

/// The files of a build, as long as it takes.
pub(super) struct Contexts {
    place: Arc<LayerDir>,
    /// What a client sent to be seen by single commands: in memory alone.
    secrets: BTreeMap<String, Vec<u8>>,
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
        let mut secrets = BTreeMap::new();
        let root = match &options.remote {
            None => {
                let archive = SyncIoBridge::new(body);
                let (into, is_bundle) = (place.clone(), options.is_bundle);
                let received = onggi_rt::blocking("receive a build context", move || {
                    received(archive, &into.path, is_bundle)
                });
                let (root, sent) = received.await??;
                secrets = sent;
                root
            }
            Some(remote) => Root::Directory(fetch(engine, remote, &place.path).await?),
        };
        Ok(Self {
            views: views(&root, options, &place)?,
            place,
            secrets,
            unfolded: Mutex::default(),
        })
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
    pub(super) fn dockerfile(&self, options: &BuildOptions) -> Result<Vec<u8>> {
        let name = dockerfile_name(options);
        let missing = || {
            Error::invalid(format!(
                "failed to read dockerfile: open {name}: no such file or directory"
            ))
        };
        let view = self.views.get(&None).ok_or_else(missing)?;
        let read = view
            .tree()
            .read(&name, LONGEST)
            .map_err(|fault| Error::of(&fault))?;
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

/// Reads a tar, compressed or not. Of a bundle, the secrets are given back and reach no disk.
fn received(
    archive: impl Read + Send,
    into: &Path,
    is_bundle: bool,
) -> Result<(Root, BTreeMap<String, Vec<u8>>)> {
    let (_, tar) = decompress(archive).map_err(|fault| Error::of(&fault))?;
    let mut secrets = Secrets {
        is_wanted: is_bundle,
        ..Secrets::default()
    };
    let index = receive(tar, spool(into)?, Bounds::default(), &mut secrets)
        .map_err(|fault| Error::of(&fault).context("the build context cannot be unpacked"))?;
    if let Some(id) = secrets.refused {
        return Err(Error::invalid(format!(
            "secret {id} is larger than {LONGEST_SECRET} bytes"
        )));
    }
    let index = Arc::new(index);
    let root = match index.needs_files() {
        false => Root::Index(index),
        true => {
            let tree = Tree::listed(index, "", "context")
                .ok_or_else(|| Error::internal("an index without a root"))?;
            let to = directory(into)?;
            unfold(&tree, "", to.as_fd(), "files").map_err(|fault| Error::of(&fault))?;
            Root::Directory(into.join("files"))
        }
    };
    Ok((root, secrets.all))
}

/// A file that goes with whoever has it open.
fn spool(place: &Path) -> Result<File> {
    let failed = |e| Error::io("keep the build context", e);
    let path = place.join("spool");
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let file = file.map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(file)
}

/// The secrets of a bundle.
#[derive(Default)]
struct Secrets {
    is_wanted: bool,
    all: BTreeMap<String, Vec<u8>>,
    /// One that is too large.
    refused: Option<String>,
}

impl Aside for Secrets {
    fn takes(&self, path: &[u8]) -> bool {
        self.is_wanted && path.starts_with(b"secrets/")
    }

    fn take(&mut self, path: &[u8], bytes: &mut dyn Read) -> Result<(), onggi_archive::Error> {
        let id = String::from_utf8_lossy(&path[b"secrets/".len()..]).into_owned();
        let mut secret = Vec::new();
        let read = bytes.take(LONGEST_SECRET + 1).read_to_end(&mut secret);
        read.map_err(onggi_archive::Error::Read)?;
        let so_far: usize = self.all.values().map(Vec::len).sum();
        if secret.len() as u64 > LONGEST_SECRET || so_far + secret.len() > SECRETS {
            self.refused = Some(id);
            return Ok(());
        }
        self.all.insert(id, secret);
        Ok(())
    }
}

/// The main context and those with names.
fn views(
    root: &Root,
    options: &BuildOptions,
    place: &Arc<LayerDir>,
) -> Result<BTreeMap<Option<String>, View>> {
    let mut views = BTreeMap::new();
    let is_bundle = options.is_bundle && options.remote.is_none();
    let main = if is_bundle { "context" } else { "" };
    let main = root
        .tree(main, "context")?
        .ok_or_else(|| Error::invalid("there is no build context"))?;
    let ignore = ignored(&main, &dockerfile_name(options))?;
    views.insert(None, View::new(main.ignoring(ignore), place.clone()));
    for name in options.contexts.keys().filter(|_| is_bundle) {
        if name.contains('/') || matches!(name.as_str(), "." | "..") {
            continue;
        }
        if let Some(tree) = root.tree(&format!("contexts/{name}"), name)? {
            let ignore = ignored(&tree, "Dockerfile")?;
            let view = View::new(tree.ignoring(ignore), place.clone());
            views.insert(Some(name.clone()), view);
        }
    }
    Ok(views)
}

impl Root {
    /// The directory below a path, if there is one.
    fn tree(&self, path: &str, called: &str) -> Result<Option<Tree>> {
        match self {
            Root::Index(index) => Ok(Tree::listed(index.clone(), path, called)),
            Root::Directory(root) => {
                let path = root.join(path);
                match path.symlink_metadata().is_ok_and(|status| status.is_dir()) {
                    false => Ok(None),
                    true => Ok(Some(Tree::new(directory(&path)?, called))),
                }
            }
        }
    }
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
