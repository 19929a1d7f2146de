//! Boot: observe what is, compare with what the catalogue says, and make both agree.
//!
//! A container that runs is taken up where it is; one that ended while no daemon was there gets the end its
//! monitor left on disk; one whose monitor is gone is killed. One whose start was not on record yet, because the
//! daemon died too soon, is adopted. Then come `--rm`, restart policies and the addresses that nobody holds any more.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use onggi_api::container::RemoveOptions;
use onggi_model::{ErrorKind, Fault, Timestamp};
use onggi_monitor::protocol::{Exit, FromMonitor, Phase, ToMonitor};
use onggi_network::Names;
use tracing::{info, warn};

use crate::Engine;
use crate::build::Builds;
use crate::config::{Config, Live};
use crate::container::{self, Container, Record, Status, StopCause, has_names};
use crate::engine::{Inner, Programs};
use crate::error::{Error, Result};
use crate::events::Bus;
use crate::health::First;
use crate::stats::Sampler;
use crate::task::{self, Task, TaskEvents};

/// The parts that the engine stands on.
pub struct Parts {
    /// The catalogue.
    pub store: onggi_store::Store,
    /// Root file systems.
    pub snapshots: onggi_snapshot::Snapshots,
    /// Images.
    pub images: onggi_image::Images,
    /// Networks.
    pub networks: Arc<onggi_network::Networks>,
    /// Volumes.
    pub volumes: onggi_volume::Volumes,
    /// Control groups.
    pub cgroups: onggi_cgroup::Cgroups,
}

/// How long the start of the daemon waits for one container to be taken up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many containers are taken up, or started, at the same time.
const AT_ONCE: usize = 8;
/// How long the boot waits for monitors to let go of ports, and how long it is looked after behind it.
const LET_GO: Duration = Duration::from_secs(1);
const LET_GO_LATE: Duration = Duration::from_secs(30);

/// What a monitor says of its container.
struct Heard {
    phase: Phase,
    pid: Option<u32>,
    started_at: Option<jiff::Timestamp>,
    exit: Option<Exit>,
    /// The sockets of its resolver.
    descriptors: Vec<OwnedFd>,
}

/// What became of a container while no daemon was there.
enum Found {
    Running(Arc<Task>, TaskEvents, Vec<OwnedFd>),
    Ended(Exit),
    /// It ended, and its monitor waits to hear that we know.
    Reported(Exit, Arc<Task>),
}

impl Engine {
    /// Takes up everything that the catalogue knows, and serves.
    ///
    /// # Errors
    /// What the catalogue says when it cannot be read; values that cannot be meant.
    pub async fn open(
        config: Config,
        live: Live,
        programs: Programs,
        parts: Parts,
    ) -> Result<Self> {
        config.check()?;
        live.check()?;
        let Parts {
            store,
            snapshots,
            images,
            networks,
            volumes,
            cgroups,
        } = parts;
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_err(|e| Error::io("read boot_id", e))?;
        let records = store.read(|tx| tx.list::<Record>())?;
        let id = installation(&config.data_root)?;
        let names = Names::new(config.exec_root.join("names"));
        let inner = Inner {
            builds: Builds::new(images.clone(), &config),
            boot_id: boot_id.trim().to_owned(),
            features: Default::default(),
            containers: Default::default(),
            departed: Default::default(),
            execs: Default::default(),
            events: Bus::new(),
            shipping: Default::default(),
            live: tokio::sync::watch::Sender::new(Arc::new(live)),
            sampler: Sampler::new(),
            pruning: Default::default(),
            leaving: Default::default(),
            boots: tokio::sync::Semaphore::new(AT_ONCE),
            config,
            programs,
            store,
            snapshots,
            images,
            networks,
            names,
            volumes,
            cgroups,
            id,
        };
        let engine = Self {
            inner: Arc::new(inner),
        };
        let held = engine.inner.names.hold();
        for (_, record) in records {
            engine
                .inner
                .containers
                .reserve(&record.name.clone(), &record.id.clone())?;
            engine.volumes_found(&record);
            if record.endpoints.iter().any(has_names) {
                engine.know_names(&record, &record.endpoints);
            }
            engine.inner.containers.insert(Container::new(record));
        }
        drop(held);
        engine.reconcile().await?;
        for container in engine.inner.containers.all() {
            engine.ship_log(&container);
        }
        Ok(engine)
    }

    async fn reconcile(&self) -> Result<()> {
        let all = self.inner.containers.all();
        let holding: Vec<_> = all
            .iter()
            .filter(|container| {
                let record = container.record();
                // One that runs may have ports that wait for a network.
                !record.endpoints.is_empty() || record.state.is_running()
            })
            .map(|container| container.id.clone())
            .collect();
        self.inner.networks.reconcile(&holding).await?;
        for container in &all {
            self.inner
                .networks
                .name(&container.id, &container.record().name);
        }
        let containers = all.clone();
        futures_util::stream::iter(all)
            .for_each_concurrent(AT_ONCE, |container| {
                let containers = &containers;
                async move {
                    let (engine, id) = (self.clone(), container.id.clone());
                    let mut taking = tokio::spawn(async move {
                        if let Err(fault) = engine.take_up(&container).await {
                            warn!(container = %container.id, "could not be taken up: {fault}");
                        }
                    });
                    // A monitor that is stopped or stuck answers when it goes on; nobody else waits for it.
                    if tokio::time::timeout(PATIENCE, &mut taking).await.is_err() {
                        warn!(container = %id, "its monitor does not answer: it is taken up when it does");
                        let (engine, containers) = (self.clone(), containers.clone());
                        onggi_rt::spawn("hold what was held by a stuck monitor", async move {
                            let _ = taking.await;
                            engine.hold_all(&containers).await;
                        });
                    }
                }
            })
            .await;
        self.hold_all(&containers).await;
        self.inner.volumes.reconcile();
        Ok(())
    }

    /// Each monitor holds the ports of its container and answers for them at `[::1]`, and no others: the daemon before may
    /// have ended while ports came or went. First all let go, then what nobody holds is held.
    async fn hold_all(&self, containers: &[Arc<Container>]) {
        let running = || {
            let all = containers.iter();
            all.filter(|container| container.record().state.is_running())
        };
        for container in running() {
            self.hold_ports(container, Vec::new()).await;
            self.renew_loopback(container).await;
        }
        // One that was told gives up a port a moment later; the other one may be there in that moment.
        let told: Vec<_> = running().filter_map(|container| container.task()).collect();
        let settled = |patience: Duration| {
            let told = told.clone();
            async move {
                let all = told.iter().map(|task| task.settled(patience));
                let all = futures_util::future::join_all(all).await;
                all.into_iter().all(|settled| settled)
            }
        };
        let all_are = settled(LET_GO).await;
        for container in running() {
            self.hold_missing(container).await;
        }
        if !all_are {
            let (engine, containers) = (self.clone(), containers.to_vec());
            let late = settled(LET_GO_LATE);
            onggi_rt::spawn("hold what is let go of late", async move {
                late.await;
                for container in &containers {
                    engine.hold_missing(container).await;
                    engine.renew_loopback(container).await;
                }
            });
        }
    }

    async fn take_up(&self, container: &Arc<Container>) -> Result<()> {
        let record = container.record();
        if record.is_step {
            return self.drop_step(container).await;
        }
        match record.state.status {
            Status::Running | Status::Paused => self.take_up_running(container, &record).await,
            Status::Restarting => {
                if !self.adopt(container, &record).await? {
                    self.restart_later(container.clone(), &record);
                }
                Ok(())
            }
            Status::Removing | Status::Dead | Status::Removed => {
                self.commit(container, |record| record.state.status = Status::Exited)
                    .await?;
                let options = RemoveOptions {
                    volumes: record.remove_volumes,
                    ..RemoveOptions::default()
                };
                self.remove(container, options).await
            }
            Status::Created | Status::Exited => self.take_up_stopped(container, &record).await,
        }
    }

    /// A step of a build that the daemon before did not end: nobody waits for it.
    async fn drop_step(&self, container: &Arc<Container>) -> Result<()> {
        let record = container.record();
        if record.state.is_active() {
            self.take_up_running(container, &record).await?;
        } else {
            self.take_up_stopped(container, &record).await?;
        }
        let options = RemoveOptions {
            force: true,
            volumes: true,
            ..RemoveOptions::default()
        };
        match self.container_remove(record.id.as_str(), options).await {
            Err(fault) if Fault::kind(&fault) == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Nothing runs by the record. A monitor that a dead daemon left half-way destroys what it made, unless it got as far
    /// as running: then the start was only not written down yet.
    async fn take_up_stopped(&self, container: &Arc<Container>, record: &Record) -> Result<()> {
        if self.adopt(container, record).await? {
            return Ok(());
        }
        self.release_network(container).await;
        let _ = std::fs::remove_file(self.exit_file(&record.id));
        if record.state.status == Status::Exited {
            if record.host_config.auto_remove {
                let options = RemoveOptions {
                    volumes: true,
                    ..RemoveOptions::default()
                };
                return self.remove(container, options).await;
            }
            self.start_by_policy(container.clone(), record);
        }
        Ok(())
    }

    /// Writes down a start that the daemon before did not come to write down, and says whether there was one. What is
    /// left of any other start goes.
    async fn adopt(&self, container: &Arc<Container>, record: &Record) -> Result<bool> {
        let directory = self.exec_directory(&record.id);
        if !directory.exists() {
            return Ok(false);
        }
        if let Some((task, events, state)) = self.ask_monitor(container).await
            && let (Phase::Running | Phase::Exited, Some(pid), Some(started_at)) =
                (state.phase, state.pid, state.started_at)
        {
            let boot_id = self.inner.boot_id.clone();
            self.commit(container, |record| {
                record.started(pid, started_at.into(), boot_id);
            })
            .await?;
            self.container_event(&container.record(), "start", []);
            info!(container = %container.id, pid, "was being started, and runs");
            match state.exit {
                Some(exit) => self.end_reported(container, &exit, &task).await?,
                None => {
                    let descriptors = state.descriptors;
                    self.follow(container, task, events, descriptors).await?;
                }
            }
            return Ok(true);
        }
        self.dismiss_monitor(container, record).await?;
        let _ = std::fs::remove_dir_all(&directory);
        Ok(false)
    }

    /// Ends a monitor that has no business any more, and returns when it is gone.
    async fn dismiss_monitor(&self, container: &Arc<Container>, record: &Record) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(10);
        let gone = task::Witness::of(&self.exec_directory(&record.id)).await;
        let asked = tokio::time::timeout(LIMIT, self.ask_monitor(container)).await;
        // It runs: its end is made, on the rest the monitor ends when the control connection closes.
        self.kill_cgroup(record).await?;
        drop(asked);
        if let Some(gone) = gone
            && tokio::time::timeout(LIMIT, gone.wait()).await.is_err()
        {
            warn!(container = %container.id, "a monitor without a container does not end");
        }
        Ok(())
    }

    async fn take_up_running(&self, container: &Arc<Container>, record: &Record) -> Result<()> {
        match self.observe(container, record).await {
            Found::Running(task, events, descriptors) => {
                self.follow(container, task, events, descriptors).await?;
            }
            Found::Ended(exit) => self.end_and_follow(container, &exit).await?,
            Found::Reported(exit, task) => self.end_reported(container, &exit, &task).await?,
        }
        Ok(())
    }

    /// Goes on with a container that runs. Without live-restore it is stopped, and comes back by its policy.
    async fn follow(
        &self,
        container: &Arc<Container>,
        task: Arc<Task>,
        events: TaskEvents,
        descriptors: Vec<OwnedFd>,
    ) -> Result<()> {
        container.set_task(Some(task.clone()));
        let record = container.record();
        self.take_up_resolver(&record, &task, descriptors).await;
        self.thaw_forgotten(&record).await;
        // The kernel knows best whether it is paused.
        let status = match self.is_frozen(&record).await {
            true => Status::Paused,
            false => Status::Running,
        };
        if record.state.status != status {
            self.commit(container, |record| record.state.status = status)
                .await?;
        }
        self.mend_network(container).await;
        info!(container = %container.id, "runs on");
        container::watch_exit(self.clone(), container.clone(), task, events, None);
        self.watch_health_from(container, First::AtOnce);
        if !self.live().live_restore {
            self.begin_anew(container.clone());
        }
        Ok(())
    }

    /// Stops what a dead daemon without live-restore left running, and starts it by its policy.
    fn begin_anew(&self, container: Arc<Container>) {
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(fault) = engine
                .stop_for(&container, StopCause::Daemon, None, None)
                .await
            {
                warn!(container = %container.id, "{fault}");
                return;
            }
            container.set_hold(container::Hold::None);
            let record = container.record();
            if record.state.status == Status::Exited {
                engine.start_by_policy(container, &record);
            }
        });
    }

    async fn end_reported(
        &self,
        container: &Arc<Container>,
        exit: &Exit,
        task: &Task,
    ) -> Result<()> {
        self.end_and_follow(container, exit).await?;
        // A monitor that is gone needs to hear nothing.
        let _ = task.send(&ToMonitor::Acknowledge, Vec::new()).await;
        Ok(())
    }

    async fn end_and_follow(&self, container: &Arc<Container>, exit: &Exit) -> Result<()> {
        let writer = container.writer.lock().await;
        self.ended(container, exit).await?;
        drop(writer);
        self.after_exit(container).await;
        let record = container.record();
        if record.state.status == Status::Exited {
            self.start_by_policy(container.clone(), &record);
        }
        Ok(())
    }

    /// What the monitor says, else what it left on disk, else the worst.
    async fn observe(&self, container: &Arc<Container>, record: &Record) -> Found {
        if record.boot_id == self.inner.boot_id
            && let Some((task, events, state)) = self.ask_monitor(container).await
        {
            match (state.phase, state.exit) {
                (Phase::Running, _) => return Found::Running(task, events, state.descriptors),
                (_, Some(exit)) => return Found::Reported(exit, task),
                // It ended and drains: the report comes as an event.
                (Phase::Exited, None) => return Found::Running(task, events, state.descriptors),
                (phase, None) => {
                    warn!(container = %container.id, ?phase, "is on record as running")
                }
            }
        }
        if let Some(exit) = self.read_exit_file(&record.id) {
            return Found::Ended(exit);
        }
        if record.boot_id == self.inner.boot_id
            && let Err(fault) = self.kill_cgroup(record).await
        {
            warn!(container = %container.id, "{fault}");
        }
        Found::Ended(Exit {
            code: 137,
            signal: Some(9),
            oom_killed: false,
            oom: None,
            finished_at: Timestamp::now().inner(),
            error: Some(match record.boot_id == self.inner.boot_id {
                true => "the monitor of the container was killed".to_owned(),
                false => "the machine stopped while the container ran".to_owned(),
            }),
        })
    }

    async fn ask_monitor(
        &self,
        container: &Arc<Container>,
    ) -> Option<(Arc<Task>, TaskEvents, Heard)> {
        let directory = self.exec_directory(&container.id);
        let (task, mut events) = Task::open(&directory).await.ok()?;
        let event = events.next().await.ok()??;
        let FromMonitor::State {
            phase,
            pid,
            started_at,
            exit,
            execs,
            ..
        } = event.message
        else {
            return None;
        };
        self.execs_found(&container.id, &execs);
        let heard = Heard {
            phase,
            pid,
            started_at,
            exit,
            descriptors: event.descriptors,
        };
        Some((task, events, heard))
    }

    /// Starts it where its policy says so, as many at once as do each other no harm.
    fn start_by_policy(&self, container: Arc<Container>, record: &Record) {
        if !container::starts_with_daemon(record) {
            return;
        }
        let engine = self.clone();
        tokio::spawn(async move {
            // Never closed.
            let _turn = engine.inner.boots.acquire().await;
            if let Err(fault) = engine.container_start(container.id.as_str(), None).await {
                warn!(container = %container.id, "start at boot failed: {fault}");
            }
        });
    }
}

/// The id of this installation, made once.
fn installation(data_root: &Path) -> Result<String> {
    let path = data_root.join("engine-id");
    if let Ok(id) = std::fs::read_to_string(&path)
        && !id.trim().is_empty()
    {
        return Ok(id.trim().to_owned());
    }
    let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid")
        .map_err(|e| Error::io("make an id", e))?;
    std::fs::write(&path, &id).map_err(|e| Error::io("write the engine's id", e))?;
    Ok(id.trim().to_owned())
}
