//! What a client sends: a tar of the context, compressed or not; from our own client one with named contexts and secrets.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use onggi_archive::{ApplyOptions, Conflicts, Owner, apply_at, decompress};
use onggi_builder::View;
use onggi_builder::files::Tree;
use onggi_dockerfile::ignore::Ignore;
use onggi_snapshot::LayerDir;
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::BuildOptions;
use crate::Engine;
use crate::error::{Error, Result};

/// The longest Dockerfile and list of what is ignored that is read.
const LONGEST: u64 = 16 << 20;

/// The files of a build, as long as it takes.
pub(super) struct Contexts {
    place: Arc<LayerDir>,
    /// Where in it the files are.
    root: PathBuf,
    is_bundle: bool,
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
            views: BTreeMap::new(),
        };
        match &options.remote {
            None => unpack(SyncIoBridge::new(body), contexts.root.clone()).await?,
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

    /// The file with a secret, where the client sent one.
    pub(super) fn secret(&self, id: &str) -> Option<PathBuf> {
        if !self.is_bundle || id.contains('/') || matches!(id, "." | ".." | "") {
            return None;
        }
        let path = self.root.join("secrets").join(id);
        let status = std::fs::symlink_metadata(&path).ok()?;
        status.is_file().then_some(path)
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

/// Unpacks a tar, compressed or not.
async fn unpack(archive: impl Read + Send + 'static, into: PathBuf) -> Result<()> {
    onggi_rt::blocking("unpack a build context", move || {
        let (_, tar) = decompress(archive).map_err(|fault| Error::of(&fault))?;
        let apply = ApplyOptions {
            shared: false,
            ..ApplyOptions::copy(Conflicts::Replace, Owner::Archive)
        };
        apply_at(tar, &into, &apply)
            .map_err(|fault| Error::of(&fault).context("the build context cannot be unpacked"))
    })
    .await??;
    Ok(())
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
