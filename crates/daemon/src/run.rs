//! From a configuration to a daemon that serves, and down again.
//!
//! The order is the message: lock the data root, look at the machine, take up what runs, and only then listen. A
//! client that connects meets an engine that knows everything.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onggi_cgroup::{Cgroups, Which};
use onggi_engine::{CGROUP_PARENT, Engine, MONITORS_CGROUP, Parts};
use onggi_http::{Listener, ServerTls};
use onggi_image::Images;
use onggi_model::chain;
use onggi_network::Networks;
use onggi_rt::Shutdown;
use onggi_snapshot::Snapshots;
use onggi_store::{Store, Sweeper};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::config::{Config, Host};
use crate::flags::Flags;
use crate::logging::SetLevel;
use crate::pidfile::PidFile;
use crate::reload::Reload;
use crate::{docker_socket, logging, metrics, programs, systemd};

/// How long requests may take to end once we were told to stop.
const PATIENCE: Duration = Duration::from_secs(5);
/// What socket files allow: owner and group.
const SOCKET_MODE: u32 = 0o660;

/// Runs until a signal says stop. Errors are texts for the person who started us.
pub(crate) fn run(flags: Flags, config: Config) -> Result<(), String> {
    // Whoever starts us may have another: what we make is for us to write, as dockerd has it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let set_level = logging::begin(&config.log);
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("onggid")
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(|e| format!("start threads: {e}"))?;
    let served = runtime.block_on(serve(flags, config, set_level));
    // Threads that follow a log or wait for a kernel are not waited for: nothing of theirs needs an end.
    runtime.shutdown_background();
    served
}

async fn serve(flags: Flags, config: Config, set_level: SetLevel) -> Result<(), String> {
    let (data_root, exec_root) = (&config.engine.data_root, &config.engine.exec_root);
    not_dockers(data_root)?;
    directory(data_root, 0o700)?;
    directory(exec_root, 0o711)?;
    let store = Store::open(data_root).map_err(|fault| chain(&fault))?;
    // Frees what is removed, beginning with what an earlier daemon left.
    let _sweeper = Sweeper::start(&store).map_err(|fault| chain(&fault))?;
    let _pidfile = PidFile::claim(&config.pidfile)
        .map_err(|e| format!("pid file {}: {e}", config.pidfile.display()))?;
    let registry = onggi_registry::Client::new(config.registry.clone());
    let registry = registry.map_err(|fault| chain(&fault))?;
    let snapshots = Snapshots::open(&store, config.storage);
    let options = onggi_image::Options {
        concurrent_downloads: config.concurrent_downloads,
        concurrent_uploads: config.concurrent_uploads,
    };
    let images = Images::open_with(store.clone(), snapshots.clone(), registry.clone(), &options);
    let engine = engine(&config, store, snapshots, images.clone()).await?;
    let shutdown = Shutdown::new();
    let servers = listen(&config, &engine, &shutdown).await?;
    let mut reload = Reload {
        flags,
        config,
        set_level,
        registry,
        images,
    };
    systemd::notify("READY=1");
    info!(version = env!("CARGO_PKG_VERSION"), "ready");
    wait_for_stop(|| {
        systemd::notify("RELOADING=1");
        reload.run(&engine);
        systemd::notify("READY=1");
    })
    .await?;
    systemd::notify("STOPPING=1");
    info!("stopping");
    shutdown.trigger();
    // With the machine its containers go, and in peace: whoever else ends them does not know their timeouts.
    if !engine.live().live_restore || systemd::machine_goes_down().await {
        let least = Duration::from_secs(reload.config.shutdown_timeout);
        systemd::taking_time(engine.stop_all(least)).await;
    }
    for server in servers {
        // A server that panicked is gone, which is what we want of it.
        let _ = server.await;
    }
    engine.close().await;
    Ok(())
}

/// Refuses a data root that Docker keeps its own in: an existing `daemon.json` may name one.
fn not_dockers(data_root: &Path) -> Result<(), String> {
    if data_root.join("network/files/local-kv.db").exists() {
        return Err(format!(
            "data-root {} belongs to Docker, which keeps its data in another form: use one of its own (--data-root)",
            data_root.display()
        ));
    }
    Ok(())
}

/// The engine on its parts, everything that ran before taken up.
async fn engine(
    config: &Config,
    store: Store,
    snapshots: Snapshots,
    images: Images,
) -> Result<Engine, String> {
    let cgroups = Cgroups::probe().map_err(|error| chain(&error))?;
    for path in [CGROUP_PARENT, MONITORS_CGROUP] {
        cgroups
            .ensure(path, Which::All)
            .map_err(|error| chain(&error))?;
    }
    let programs = programs::load(config.init_path.as_deref())?;
    let networks = Networks::open(config.network.clone(), Arc::new(store.clone())).await;
    let volumes = onggi_volume::Volumes::open(&config.engine.data_root.join("volumes"), &store);
    let parts = Parts {
        images,
        volumes: volumes.map_err(|fault| chain(&fault))?,
        networks: Arc::new(networks.map_err(|fault| chain(&fault))?),
        store,
        snapshots,
        cgroups,
    };
    Engine::open(config.engine.clone(), config.live.clone(), programs, parts)
        .await
        .map_err(|fault| chain(&fault))
}

/// A server for each address, running.
async fn listen(
    config: &Config,
    engine: &Engine,
    shutdown: &Shutdown,
) -> Result<Vec<tokio::task::JoinHandle<()>>, String> {
    let tls = match &config.tls {
        None => None,
        Some(tls) => {
            let tls = ServerTls::new(tls.ca.as_deref(), &tls.cert, &tls.key);
            Some(tls.map_err(|fault| chain(&fault))?)
        }
    };
    let group = match config.group.as_deref() {
        Some(name) => check_group(name)?,
        // The default group is used where it exists; without it only root comes in.
        None => group_id("onggi"),
    };
    let mut listeners = Vec::new();
    for host in &config.hosts {
        match host {
            Host::Unix(path) => {
                listeners.push(Listener::unix(path, SOCKET_MODE, group).map_err(|e| chain(&e))?);
            }
            Host::Fd => {
                let sockets = systemd::sockets();
                if sockets.is_empty() {
                    return Err("fd://: no sockets were handed over by systemd".to_owned());
                }
                for socket in sockets {
                    let listener = Listener::from_fd(socket, tls.as_ref());
                    listeners.push(listener.map_err(|e| chain(&e))?);
                }
            }
            Host::Tcp(address) => listeners.push(match &tls {
                Some(tls) => Listener::tls(address, tls).await.map_err(|e| chain(&e))?,
                None => {
                    warn!(%address, "serving without TLS: whoever reaches it is root on this machine");
                    Listener::tcp(address).await.map_err(|e| chain(&e))?
                }
            }),
        }
    }
    let docker_socket = Path::new(docker_socket::PATH);
    let asked_for = config.hosts.contains(&Host::Unix(docker_socket.to_owned()));
    if config.docker_socket && !asked_for && docker_socket::is_free(docker_socket) {
        match Listener::unix(docker_socket, SOCKET_MODE, group) {
            Ok(listener) => listeners.push(listener),
            Err(error) => warn!("{}", chain(&error)),
        }
    }
    let mut servers = Vec::new();
    if let Some(address) = &config.metrics {
        let listener = Listener::tcp(address).await.map_err(|e| chain(&e))?;
        let (engine, shutdown) = (engine.clone(), shutdown.clone());
        servers.push(tokio::spawn(metrics::run(listener, engine, shutdown)));
    }
    let api = onggi_server::Server::new(engine.clone());
    let apis = listeners.into_iter().map(|listener| {
        let (api, shutdown) = (api.clone(), shutdown.clone());
        tokio::spawn(async move { api.serve(listener, shutdown, PATIENCE).await })
    });
    servers.extend(apis);
    Ok(servers)
}

/// Returns when SIGTERM or SIGINT came; reloads on SIGHUP.
async fn wait_for_stop(mut reload: impl FnMut()) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|e| format!("listen to signals: {e}"));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => reload(),
        }
    }
}

/// Makes a directory of ours, closed to others.
fn directory(path: &Path, mode: u32) -> Result<(), String> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|e| format!("create {}: {e}", path.display()))
}

/// The id of the group that sockets shall have; nothing for the empty name: then they have ours.
///
/// # Errors
/// When there is no such group.
pub(crate) fn check_group(name: &str) -> Result<Option<u32>, String> {
    match group_id(name) {
        _ if name.is_empty() => Ok(None),
        None => Err(format!("group {name} not found")),
        found => Ok(found),
    }
}

/// The id of a group, from `/etc/group` (group(5)); no name service is asked.
fn group_id(name: &str) -> Option<u32> {
    if let Ok(id) = name.parse() {
        return Some(id);
    }
    let text = std::fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}
