//! `RUN --mount`: files of the context, of stages and images, caches that outlive the build, memory, secrets.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use onggi_builder::{Command, MountSource};
use onggi_dockerfile::instruction::{Mount, MountKind, Sharing};
use onggi_snapshot::Scratch;
use onggi_store::ChainId;
use tokio::sync::OwnedMutexGuard;

use super::caches::InUse;
use super::{Building, agents};
use crate::container::mounts::{StepMount, Wanted, What};
use crate::container::view::{Access, Stopped, View};
use crate::error::{Error, Result};

/// The mounts of a command, as long as it runs.
#[derive(Default)]
pub(super) struct Mounted {
    pub(super) wanted: Vec<Wanted>,
    /// Variables that hold secrets.
    pub(super) environment: Vec<String>,
    /// Files of this step alone: secrets, scripts. In memory.
    private: Option<Private>,
    /// Sockets on which agents are spoken with.
    agents: Vec<agents::Listening>,
    scratches: Vec<Scratch>,
    held: Vec<OwnedMutexGuard<()>>,
    used: Vec<InUse>,
}

/// Where files are that single commands are given.
pub(super) fn given(exec_root: &Path) -> PathBuf {
    exec_root.join("build")
}

/// A directory that goes.
struct Private(PathBuf);

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "files of a step are left behind");
        }
    }
}

impl Mounted {
    /// Everything that the mounts of a command need.
    ///
    /// # Errors
    /// `InvalidParameter` for what is missing; what cannot be had.
    pub(super) async fn prepare(building: &Building, command: &Command<'_>) -> Result<Self> {
        let mut mounted = Self::default();
        let exec = command.exec;
        for (wanted, source) in exec.mounts.iter().zip(&command.sources) {
            let mount = &wanted.mount;
            let target = |text: &str| absolute(&exec.directory, text);
            match mount.kind {
                MountKind::Bind => {
                    let target = target(mount.target.as_deref().unwrap_or_default());
                    mounted.bind(building, mount, source, target).await?;
                }
                MountKind::Cache => {
                    let target = target(mount.target.as_deref().unwrap_or_default());
                    mounted.cache(building, mount, source, target).await?;
                }
                MountKind::Tmpfs => {
                    let target = target(mount.target.as_deref().unwrap_or_default());
                    mounted.tmpfs(mount, target);
                }
                MountKind::Secret => mounted.secret(building, mount, &exec.directory)?,
                MountKind::Ssh => mounted.ssh(building, mount, &exec.directory)?,
            }
        }
        for (name, text) in &exec.scripts {
            let path = mounted.file(building, name, text.as_bytes(), 0o755)?;
            mounted.push(format!("/dev/pipes/{name}"), bound(&path, true), true);
        }
        Ok(mounted)
    }

    /// Where something is mounted, relative to the root.
    pub(super) fn targets(&self) -> Vec<Vec<u8>> {
        let targets = self
            .wanted
            .iter()
            .map(|wanted| wanted.target.trim_matches('/'));
        targets.map(|target| target.as_bytes().to_vec()).collect()
    }

    fn push(&mut self, target: String, mount: StepMount, readonly: bool) {
        self.wanted.push(Wanted {
            target,
            what: What::Step(mount),
            readonly,
            mode: String::new(),
        });
    }

    async fn bind(
        &mut self,
        building: &Building,
        mount: &Mount,
        source: &MountSource,
        target: String,
    ) -> Result<()> {
        let below = inside(mount.source.as_deref().unwrap_or_default());
        let layers = match source {
            MountSource::Nothing => {
                let scratch = building.engine.inner.snapshots.scratch(None)?;
                let path = scratch.upper();
                self.scratches.push(scratch);
                vec![path]
            }
            MountSource::Context(name) => {
                let contexts = &building.contexts;
                vec![contexts.unfolded(name.as_deref(), &below).await?]
            }
            MountSource::Layers(top) => {
                let paths = building.engine.inner.snapshots.view(top.as_ref(), &below)?;
                if paths.is_empty() {
                    return Err(Error::invalid(format!("\"/{below}\": not found")));
                }
                paths
            }
        };
        if mount.read_only {
            let mount = match &layers[..] {
                [one] => bound(one, true),
                layers => stacked(layers, None),
            };
            self.push(target, mount, true);
            return Ok(());
        }
        if !layers.iter().all(|layer| layer.is_dir()) {
            return Err(Error::not_implemented(format!(
                "RUN --mount=type=bind,rw on the file /{below}: only directories can be written to; mount its directory"
            )));
        }
        // What is written is thrown away.
        let scratch = building.engine.inner.snapshots.scratch(None)?;
        self.push(target, stacked(&layers, Some(&scratch)), false);
        self.scratches.push(scratch);
        Ok(())
    }

    async fn cache(
        &mut self,
        building: &Building,
        mount: &Mount,
        source: &MountSource,
        target: String,
    ) -> Result<()> {
        let id = mount.id.clone().unwrap_or_else(|| target.clone());
        let caches = &building.engine.inner.builds.caches;
        let used = match mount.sharing.unwrap_or_default() {
            Sharing::Shared => caches.shared(&id),
            Sharing::Locked => {
                self.held.push(caches.lock(&id).lock_owned().await);
                caches.shared(&id)
            }
            Sharing::Private => caches.private(&id),
        };
        let content = used.content();
        if !content.is_dir() {
            let below = inside(mount.source.as_deref().unwrap_or_default());
            let context = match source {
                MountSource::Context(name) => {
                    let contexts = &building.contexts;
                    Some(contexts.unfolded(name.as_deref(), &below).await?)
                }
                MountSource::Nothing | MountSource::Layers(_) => None,
            };
            let begin = Begin {
                source,
                below,
                context,
            };
            make_cache(building, mount, &begin, used.place(), &id)?;
        }
        self.used.push(used);
        let readonly = mount.read_only;
        self.push(target, bound(&content, readonly), readonly);
        Ok(())
    }

    fn tmpfs(&mut self, mount: &Mount, target: String) {
        let mut options = vec!["nosuid".to_owned(), "nodev".to_owned()];
        if mount.size > 0 {
            options.push(format!("size={}", mount.size));
        }
        self.wanted.push(Wanted {
            target,
            what: What::Tmpfs {
                options,
                listed: false,
            },
            readonly: mount.read_only,
            mode: String::new(),
        });
    }

    fn secret(&mut self, building: &Building, mount: &Mount, directory: &str) -> Result<()> {
        let id = match (&mount.id, &mount.target) {
            (Some(id), _) => id.clone(),
            (None, Some(target)) => target.rsplit('/').next().unwrap_or_default().to_owned(),
            (None, None) => return Err(Error::invalid("a secret needs an id or a target")),
        };
        let Some(secret) = building.contexts.secret(&id) else {
            return match mount.required {
                true => Err(Error::invalid(format!("secret {id}: not found"))),
                false => Ok(()),
            };
        };
        if let Some(name) = &mount.env {
            let text = std::str::from_utf8(secret).map_err(|_| {
                Error::invalid(format!(
                    "secret {id} is no text, and no variable can hold it"
                ))
            })?;
            self.environment.push(format!("{name}={text}"));
            if mount.target.is_none() {
                return Ok(());
            }
        }
        let target = match &mount.target {
            Some(target) => absolute(directory, target),
            None => format!("/run/secrets/{id}"),
        };
        let mode = mount.mode.unwrap_or(0o400);
        let name = format!("secret-{}", self.wanted.len());
        let path = self.file(building, &name, secret, mode)?;
        chown(&path, mount.uid.or(Some(0)), mount.gid.or(Some(0)))
            .map_err(|e| Error::io("give a secret to its user", e))?;
        self.push(target, bound(&path, true), true);
        Ok(())
    }

    fn ssh(&mut self, building: &Building, mount: &Mount, directory: &str) -> Result<()> {
        let id = mount.id.as_deref().filter(|id| !id.is_empty());
        let id = id.unwrap_or("default");
        let Some(wire) = building.contexts.agent(id) else {
            return match mount.required {
                true => Err(Error::invalid(format!(
                    "no SSH key {id:?} forwarded from the client; use --ssh {id}"
                ))),
                false => Ok(()),
            };
        };
        let number = self.agents.len();
        let target = match &mount.target {
            Some(target) => absolute(directory, target),
            None => format!("/run/buildkit/ssh_agent.{number}"),
        };
        let path = self.private(building)?.join(format!("agent-{number}"));
        let owner = (mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
        let mode = mount.mode.unwrap_or(0o600);
        let listening = agents::listen(wire, id.to_owned(), &path, mode, owner)?;
        self.agents.push(listening);
        if number == 0 {
            self.environment.push(format!("SSH_AUTH_SOCK={target}"));
        }
        self.push(target, bound(&path, false), false);
        Ok(())
    }

    /// The directory of this step's own files.
    fn private(&mut self, building: &Building) -> Result<PathBuf> {
        if let Some(private) = &self.private {
            return Ok(private.0.clone());
        }
        let failed = |error: std::io::Error| Error::io("write a file of a step", error);
        let id = onggi_model::ContainerId::random().map_err(|e| Error::io("random bytes", e))?;
        let root = given(&building.engine.inner.config.exec_root);
        // A path of a socket has a hundred bytes.
        let short: String = id.as_str().chars().take(16).collect();
        let path = root.join(short);
        let mut builder = DirBuilder::new();
        builder
            .mode(0o700)
            .recursive(true)
            .create(&path)
            .map_err(failed)?;
        self.private = Some(Private(path.clone()));
        Ok(path)
    }

    /// A file for this step alone, in memory where the daemon's run directory is.
    fn file(&mut self, building: &Building, name: &str, text: &[u8], mode: u32) -> Result<PathBuf> {
        let failed = |error: std::io::Error| Error::io("write a file of a step", error);
        let directory = self.private(building)?;
        let path = directory.join(name);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        file.write_all(text).map_err(failed)?;
        file.set_permissions(Permissions::from_mode(mode))
            .map_err(failed)?;
        Ok(path)
    }
}

/// What a cache begins with.
struct Begin<'a> {
    source: &'a MountSource,
    /// The path in it.
    below: String,
    /// Where that is, of a context.
    context: Option<PathBuf>,
}

/// Makes a cache: empty, or with what it begins with.
fn make_cache(
    building: &Building,
    mount: &Mount,
    begin: &Begin<'_>,
    place: &Path,
    id: &str,
) -> Result<()> {
    let failed = |error: std::io::Error| Error::io("make a cache", error);
    let begun = place.join("begun");
    let _ = std::fs::remove_dir_all(&begun);
    std::fs::create_dir_all(&begun).map_err(failed)?;
    match begin.source {
        MountSource::Nothing | MountSource::Context(_) => {}
        MountSource::Layers(top) => copy_view(building, top.as_ref(), &begin.below, &begun)?,
    }
    if let Some(context) = &begin.context {
        onggi_snapshot::copy_tree(context, &begun)?;
    }
    let mode = Permissions::from_mode(mount.mode.unwrap_or(0o755));
    std::fs::set_permissions(&begun, mode).map_err(failed)?;
    chown(&begun, mount.uid.or(Some(0)), mount.gid.or(Some(0))).map_err(failed)?;
    std::fs::write(place.join("id"), id).map_err(failed)?;
    // Whole or not at all: two that begin at once make the same.
    match std::fs::rename(&begun, place.join("content")) {
        Ok(()) => Ok(()),
        Err(_) if place.join("content").is_dir() => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn copy_view(building: &Building, top: Option<&ChainId>, below: &str, to: &Path) -> Result<()> {
    let scratch = building.engine.inner.snapshots.scratch(top)?;
    let stopped = Stopped::of(scratch.rootfs(), scratch.path().to_path_buf());
    let view = View::stopped(stopped, Access::Read)?;
    let root = crate::container::place::open(
        view.root(),
        below.as_bytes(),
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY,
    )
    .map_err(|error| Error::invalid(format!("\"/{below}\": {error}")))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/.", root.as_raw_fd()));
    Ok(onggi_snapshot::copy_tree(&path, to)?)
}

/// A bind of this path.
fn bound(path: &Path, readonly: bool) -> StepMount {
    let mut options = vec!["bind".to_owned(), "rprivate".to_owned()];
    options.push(if readonly { "ro" } else { "rw" }.to_owned());
    StepMount {
        kind: "bind".to_owned(),
        source: path.display().to_string(),
        options,
    }
}

/// Directories over each other, topmost first; what is written goes to `scratch`, without one nothing can be.
fn stacked(layers: &[PathBuf], scratch: Option<&Scratch>) -> StepMount {
    let mut options = vec!["rprivate".to_owned()];
    options.extend(
        layers
            .iter()
            .map(|layer| format!("lowerdir+={}", layer.display())),
    );
    match scratch.map(Scratch::rootfs) {
        Some(onggi_snapshot::Rootfs::Overlay { upper, work, .. }) => {
            options.push(format!("upperdir={}", upper.display()));
            options.push(format!("workdir={}", work.display()));
        }
        _ => options.push("ro".to_owned()),
    }
    StepMount {
        kind: "overlay".to_owned(),
        source: "overlay".to_owned(),
        options,
    }
}

/// A path of a source without what would lead out of it.
fn inside(path: &str) -> String {
    String::from_utf8_lossy(&onggi_sys::inside::clean(path.as_bytes())).into_owned()
}

fn absolute(directory: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", directory.trim_end_matches('/')),
    }
}
