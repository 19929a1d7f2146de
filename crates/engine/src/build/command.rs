//! RUN: a command in a container of the engine's own, on the layers before instead of an image. The container is seen in
//! `ps` while it runs, behind the same walls as others, and goes with its step, however that ends.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;
use onggi_api::container::{
    AttachOptions, Config, CreateRequest, HostConfig, RemoveOptions, Ulimit,
};
use onggi_api::stream::Frames;
use onggi_archive::PackOptions;
use onggi_builder::{Command, CopyFiles, Error as BuildError, Ground, Output, Steps, View, fetch};
use onggi_dockerfile::instruction::{MountKind, Network, Security};
use onggi_image::Layer;
use onggi_model::{ErrorKind, Fault as _};
use onggi_snapshot::LayerDir;
use onggi_store::ChainId;
use tokio::io::AsyncReadExt as _;

use super::mounts::Mounted;
use super::{Building, files};
use crate::Engine;
use crate::container::{Container, NewContainer, Status};
use crate::error::{Error, Result};
use crate::task::Stream;

/// How much of a command's output is read at once.
const READ: usize = 32 << 10;

/// The engine's hands, for one build.
#[derive(Clone)]
pub(super) struct Hands(pub(super) Arc<Building>);

impl Steps for Hands {
    async fn run(
        &self,
        below: Option<&ChainId>,
        command: &Command<'_>,
        output: &Output,
    ) -> Result<Option<Layer>, BuildError> {
        let ran = self.0.run(below, command, output).await;
        ran.map_err(|fault| match fault.exit() {
            Some(code) => BuildError::exited(fault.to_string(), code),
            None => BuildError::of(&fault),
        })
    }

    async fn change(
        &self,
        on: Ground<'_>,
        time: Option<i64>,
        change: impl FnOnce(BorrowedFd<'_>) -> Result<(), BuildError> + Send + 'static,
    ) -> Result<Option<Layer>, BuildError> {
        let engine = self.0.engine.clone();
        let (seen, parent) = (on.seen.cloned(), on.parent.cloned());
        let changed = onggi_rt::blocking("change the files of a build", move || {
            let on = Ground {
                seen: seen.as_ref(),
                parent: parent.as_ref(),
            };
            engine.build_change(on, time, change)
        });
        changed.await?.map_err(|fault| BuildError::of(&fault))
    }

    async fn view(&self, top: Option<&ChainId>, name: &str) -> Result<View, BuildError> {
        let (engine, top, name) = (self.0.engine.clone(), top.cloned(), name.to_owned());
        let view = onggi_rt::blocking("look at the files of a stage", move || {
            engine.build_view(top.as_ref(), &name)
        });
        view.await?.map_err(|fault| BuildError::of(&fault))
    }

    async fn fetch(&self, source: &str, copy: &CopyFiles) -> Result<(View, CopyFiles), BuildError> {
        let inner = &self.0.engine.inner;
        let place = inner
            .snapshots
            .begin_layer()
            .map_err(|fault| BuildError::of(&fault))?;
        let client = inner.images.registry();
        let fetched = fetch::fetch(client, source, copy, &place.path).await;
        let (tree, files) = fetched.map_err(|fault| BuildError::of(&fault))?;
        Ok((View::new(tree, place), files))
    }
}

/// The container of a step: ended and removed when the step is, also when nobody waits for it any more.
struct StepContainer {
    engine: Engine,
    container: Arc<Container>,
    is_removed: bool,
}

impl StepContainer {
    /// Starts it. Who stops waiting stops nothing halfway: it is removed once it runs.
    async fn start(&self) -> Result<()> {
        let (engine, id) = (self.engine.clone(), self.container.id.clone());
        let start = async move { engine.container_start(id.as_str(), None).await };
        let started = onggi_rt::spawn("start the container of a build", start).await;
        match started.ok().flatten() {
            Some(started) => started.map(drop),
            None => Err(Error::internal(
                "start the container of a build: the daemon failed at this; see its log",
            )),
        }
    }

    async fn remove(mut self) -> Result<()> {
        self.is_removed = true;
        remove(&self.engine, &self.container).await
    }

    /// Whether somebody else removes it, or has.
    fn is_taken_away(&self) -> bool {
        let status = self.container.record().state.status;
        self.container.is_doomed() || matches!(status, Status::Removing | Status::Removed)
    }

    /// What there is to say then: whatever came of it else is no fault of the Dockerfile's.
    fn taken_away(&self) -> Error {
        let id: String = self.container.id.as_str().chars().take(12).collect();
        Error::conflict(format!(
            "container {id}, in which the step ran, was removed by someone else: build again"
        ))
    }
}

impl Drop for StepContainer {
    fn drop(&mut self) {
        if self.is_removed {
            return;
        }
        let (engine, container) = (self.engine.clone(), self.container.clone());
        onggi_rt::spawn("remove the container of a build", async move {
            if let Err(fault) = remove(&engine, &container).await {
                tracing::warn!(container = %container.id, "{fault}");
            }
        });
    }
}

/// Nobody asks a second time: where the processor is busy for so long that a user would be told to try again, the end is
/// waited for.
async fn remove(engine: &Engine, container: &Arc<Container>) -> Result<()> {
    let id = container.id.as_str();
    let options = RemoveOptions {
        force: true,
        volumes: true,
        ..RemoveOptions::default()
    };
    let removed = match engine.container_remove(id, options).await {
        Err(fault) if fault.kind() == ErrorKind::Internal => {
            tracing::warn!(container = id, "{fault}");
            engine.wait_until_stopped(container, None).await;
            engine.container_remove(id, options).await
        }
        removed => removed,
    };
    match removed {
        // Somebody else does it.
        Err(fault) if matches!(fault.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => Ok(()),
        removed => removed,
    }
}

impl Building {
    async fn run(
        &self,
        below: Option<&ChainId>,
        command: &Command<'_>,
        output: &Output,
    ) -> Result<Option<Layer>> {
        let mounted = Mounted::prepare(self, command).await?;
        let step = self.container(below, command, &mounted)?;
        let ran = self.run_in(&step, below, command, &mounted, output).await;
        let ran = match ran {
            Err(_) if step.is_taken_away() => Err(step.taken_away()),
            ran => ran,
        };
        let removed = step.remove().await;
        drop(mounted);
        let layer = ran?;
        removed.map(|()| layer)
    }

    async fn run_in(
        &self,
        step: &StepContainer,
        below: Option<&ChainId>,
        command: &Command<'_>,
        mounted: &Mounted,
        output: &Output,
    ) -> Result<Option<Layer>> {
        let container = &step.container;
        output.runs_in(container.id.to_string()).await;
        let attach = AttachOptions {
            stream: true,
            stdout: true,
            stderr: true,
            ..AttachOptions::default()
        };
        let stream = container.attach_at_start(&attach);
        step.start().await?;
        if let Ok(stream) = stream.await {
            relay(stream, output).await?;
        }
        let mut records = container.subscribe();
        let ended = records
            .wait_for(|record| record.exits > 0 || record.state.status == Status::Removed)
            .await;
        let record = ended
            .map_err(|_| Error::internal("the container of a step is gone"))?
            .clone();
        let code = record.state.exit_code;
        if code != 0 {
            let words = &command.exec.arguments;
            return Err(self.exited(words, code, record.state.oom_killed));
        }
        let (written, options) = self.take_in(step, mounted, command.time).await?;
        let (engine, below) = (self.engine.clone(), below.cloned());
        onggi_rt::blocking("pack what a command changed", move || {
            let images = &engine.inner.images;
            Ok(images.settle_layer(below.as_ref(), written, &options)?)
        })
        .await?
    }

    /// Takes what a command has written, and says how it is packed. From here on nobody else has it.
    async fn take_in(
        &self,
        step: &StepContainer,
        mounted: &Mounted,
        time: Option<i64>,
    ) -> Result<(LayerDir, PackOptions)> {
        // Until it is taken, nobody starts the container.
        let _writer = step.container.writer.lock().await;
        if step.is_taken_away() {
            return Err(step.taken_away());
        }
        let record = step.container.record();
        if record.exits != 1 || record.state.is_active() {
            return Err(Error::conflict(format!(
                "container {} of a step was started again by someone else: build again",
                record.id
            )));
        }
        let (engine, targets) = (self.engine.clone(), mounted.targets());
        onggi_rt::blocking("take what a command changed", move || {
            let layers = engine.layers(&record)?;
            let options = files::packing(time, layers.own_and(&targets));
            let written = engine.inner.snapshots.take(&record.id)?;
            Ok((written, options))
        })
        .await?
    }

    fn exited(&self, words: &[String], code: i32, out_of_memory: bool) -> Error {
        let words = words.join(" ");
        let mut text = match self.options.steps {
            true => format!("process {words:?} did not complete successfully: exit code: {code}"),
            false => format!("The command '{words}' returned a non-zero code: {code}"),
        };
        if out_of_memory {
            text.push_str(" (out of memory)");
        }
        Error::exited(text, code)
    }

    /// A container for the command.
    fn container(
        &self,
        below: Option<&ChainId>,
        command: &Command<'_>,
        mounted: &Mounted,
    ) -> Result<StepContainer> {
        let exec = command.exec;
        if exec.security == Security::Insecure {
            return Err(Error::not_implemented(
                "RUN --security=insecure: commands of builds get no privileges in onggi; leave it away",
            ));
        }
        let mut env = exec.environment.clone();
        env.extend(exec.proxies.iter().cloned());
        let host = &self.options.host;
        let mut host_config = HostConfig {
            network_mode: match exec.network {
                Network::Default => host.network_mode.clone(),
                Network::None => "none".to_owned(),
                Network::Host => "host".to_owned(),
            },
            log_config: onggi_api::container::LogConfig {
                kind: "none".to_owned(),
                ..Default::default()
            },
            ..host.clone()
        };
        let is_secret = |kind| matches!(kind, MountKind::Secret | MountKind::Ssh);
        if exec
            .mounts
            .iter()
            .any(|wanted| is_secret(wanted.mount.kind))
        {
            without_cores(&mut host_config);
        }
        let request = CreateRequest {
            config: Config {
                // What `ps` shows: the layers have no other name.
                image: below
                    .map(|top| top.as_digest().hex().chars().take(12).collect())
                    .unwrap_or_default(),
                cmd: Some(exec.arguments.clone()),
                entrypoint: Some(Vec::new()),
                env: Some(env),
                working_dir: exec.directory.clone(),
                user: exec.user.clone(),
                attach_stdout: true,
                attach_stderr: true,
                ..Config::default()
            },
            host_config: Some(host_config),
            networking_config: None,
        };
        let new = NewContainer {
            request,
            top: below.cloned(),
            mounts: mounted.wanted.clone(),
            secrets: mounted.environment.clone().into(),
        };
        let container = self.engine.create_for_build(new)?;
        Ok(StepContainer {
            engine: self.engine.clone(),
            container,
            is_removed: false,
        })
    }
}

/// What falls over with a secret in its memory leaves no image of that in the files of the step, unless the client says
/// how large one may be.
fn without_cores(host: &mut HostConfig) {
    let limits = host.resources.ulimits.get_or_insert_default();
    if limits.iter().all(|limit| limit.name != "core") {
        limits.push(Ulimit {
            name: "core".to_owned(),
            hard: 0,
            soft: 0,
        });
    }
}

/// Passes on what the command writes, until it closes its streams.
async fn relay(mut stream: Stream, output: &Output) -> Result<()> {
    let mut frames = Frames::new();
    frames.push(&stream.begin);
    let mut buffer = vec![0; READ];
    loop {
        while let Some((from, data)) = frames.next().map_err(|fault| Error::of(&fault))? {
            output
                .write(from.number(), Bytes::copy_from_slice(&data))
                .await;
        }
        match stream.socket.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(count) => frames.push(&buffer[..count]),
            Err(error) => return Err(Error::io("read what a command writes", error)),
        }
    }
}
