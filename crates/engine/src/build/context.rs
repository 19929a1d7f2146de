//! What a client sends: a tar of the context, compressed or not; from our own client one with named contexts and secrets.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onggi_archive::{ApplyOptions, Conflicts, Owner, apply_at, decompress};
use onggi_builder::View;
use onggi_builder::files::Tree;
use onggi_dockerfile::ignore::Ignore;
use onggi_snapshot::LayerDir;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::MountFlags;
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::BuildOptions;
use crate::Engine;
use crate::container::view::apart;
use crate::error::{Error, Result};

/// The longest Dockerfile and list of what is ignored that is read.
const LONGEST: u64 = 16 << 20;
/// The longest secret, as BuildKit has it.
const LONGEST_SECRET: u64 = 500 << 10;
/// Where a bundle has its secrets.
const SECRETS: &str = "secrets";

/// The files of a build, as long as it takes.
pub(super) struct Contexts {
    place: Arc<LayerDir>,
    /// Where in it the files are.
    root: PathBuf,
    is_bundle: bool,
    /// What a client sent to be seen by single commands: in memory alone.
    secrets: BTreeMap<String, Vec<u8>>,
    views: BTreeMap<Option<String>, View>,
}

impl Contexts {
    /// Unpacks what comes, or fetches what the client names.
    pub(super) async fn receive(
        engine: &Engine,
        options: &BuildOptions,
        body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Self> {
        let place = Arc::new(engine.inner.snapshots.begin_layer()?);
        let mut contexts = Self {
            root: place.path.clone(),
            place,
            is_bundle: options.is_bundle,
            secrets: BTreeMap::new(),
            views: BTreeMap::new(),
        };
        match &options.remote {
            None => {
                let archive = SyncIoBridge::new(body);
                contexts.secrets =
                    unpack(archive, contexts.root.clone(), options.is_bundle).await?;
            }
            Some(remote) => contexts.fetch(engine, remote).await?,
        }
        contexts.find(options)?;
        Ok(contexts)
    }

    /// A repository, an archive, or a Dockerfile alone.
    async fn fetch(&mut self, engine: &Engine, remote: &str) -> Result<()> {
        let client = engine.inner.images.registry();
        let context = onggi_builder::fetch::context(client, remote, &self.place.path).await;
        let tree = context.map_err(|fault| Error::of(&fault))?;
        self.root = tree
            .path()
            .map_err(|e| Error::io("find what was fetched", e))?;
        Ok(())
    }

    /// The directory of a context.
    pub(super) fn path(&self, name: Option<&str>) -> PathBuf {
        match (self.is_bundle, name) {
            (false, _) => self.root.clone(),
            (true, None) => self.root.join("context"),
            (true, Some(name)) => self.root.join("contexts").join(name),
        }
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

    fn find(&mut self, options: &BuildOptions) -> Result<()> {
        let main = self.tree(None, "context")?;
        let ignore = ignored(&main, &dockerfile_name(options))?;
        self.views
            .insert(None, View::new(main.ignoring(ignore), self.place.clone()));
        for name in options.contexts.keys().filter(|_| self.is_bundle) {
            if name.contains('/')
                || matches!(name.as_str(), "." | "..")
                || !self.path(Some(name)).is_dir()
            {
                continue;
            }
            let tree = self.tree(Some(name), name)?;
            let ignore = ignored(&tree, "Dockerfile")?;
            let view = View::new(tree.ignoring(ignore), self.place.clone());
            self.views.insert(Some(name.clone()), view);
        }
        Ok(())
    }

    fn tree(&self, name: Option<&str>, called: &str) -> Result<Tree> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let root: OwnedFd = openat(CWD, self.path(name), flags, Mode::empty())
            .map_err(|errno| Error::io("open the build context", errno))?;
        Ok(Tree::new(root, called))
    }
}

/// Unpacks a tar, compressed or not. Of a bundle, the secrets are given back and reach no disk.
async fn unpack(
    archive: impl Read + Send + 'static,
    into: PathBuf,
    is_bundle: bool,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let place = into.join(SECRETS);
    let work = move || -> Result<BTreeMap<String, Vec<u8>>> {
        let (_, tar) = decompress(archive).map_err(|fault| Error::of(&fault))?;
        let apply = ApplyOptions {
            shared: false,
            ..ApplyOptions::copy(Conflicts::Replace, Owner::Archive)
        };
        apply_at(tar, &into, &apply)
            .map_err(|fault| Error::of(&fault).context("the build context cannot be unpacked"))?;
        match is_bundle {
            true => secrets(&into.join(SECRETS)),
            false => Ok(BTreeMap::new()),
        }
    };
    onggi_rt::blocking("unpack a build context", move || match is_bundle {
        false => work(),
        true => {
            let failed = |e| Error::io("unpack a build context", e);
            std::fs::create_dir(&place).map_err(failed)?;
            // Memory is mounted there, where only this thread sees it, and goes with it.
            apart(move || {
                let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                rustix::mount::mount("tmpfs", &place, "tmpfs", flags, c"mode=0700,size=64m")?;
                Ok(work())
            })
            .map_err(failed)?
        }
    })
    .await?
}

/// The secrets below a directory, by their ids.
fn secrets(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let failed = |e| Error::io("read the secrets of a build", e);
    let mut secrets = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_type().map_err(failed)?.is_file() {
            continue;
        }
        let id = entry.file_name().to_string_lossy().into_owned();
        if entry.metadata().map_err(failed)?.len() > LONGEST_SECRET {
            return Err(Error::invalid(format!(
                "secret {id} is larger than {LONGEST_SECRET} bytes"
            )));
        }
        secrets.insert(id, std::fs::read(entry.path()).map_err(failed)?);
    }
    Ok(secrets)
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
