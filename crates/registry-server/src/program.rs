//! The program: flags, wiring, signals.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use onggi_http::{Limits, Listener, ServerTls, serve_within};
use onggi_model::chain;
use onggi_rt::Shutdown;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::auth::{Gate, htpasswd_line};
use crate::config::{self, Address, Config, Tls};
use crate::storage::Storage;
use crate::upstream::Upstreams;

/// Runs `onggi-registry` with the arguments of this process.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let done = match matches.subcommand() {
        Some(("serve", matches)) => serve(matches),
        Some(("htpasswd", matches)) => htpasswd(matches),
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "onggi-registry: {text}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("path")
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("bool")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(value_parser!(bool))
            .help(help)
    };
    let listen = Arg::new("listen")
        .long("listen")
        .value_name("address")
        .action(ArgAction::Append)
        .help("Where to listen: tcp://HOST:PORT, unix:///PATH; several times (default tcp://127.0.0.1:5000)");
    let serve = Command::new("serve")
        .about("Serve a registry")
        .arg(path(
            "config",
            "Configuration file (default /etc/onggi/registry.json)",
        ))
        .arg(listen)
        .arg(path(
            "storage",
            "Folder for everything (default /var/lib/onggi-registry)",
        ))
        .arg(path("tls-certificate", "Certificate of the TCP addresses, PEM").requires("tls-key"))
        .arg(path("tls-key", "Its key, PEM").requires("tls-certificate"))
        .arg(
            path(
                "tls-client-ca",
                "Authority that clients must have a certificate of, PEM",
            )
            .requires("tls-key"),
        )
        .arg(path(
            "htpasswd",
            "Users and bcrypt hashes of their passwords",
        ))
        .arg(switch(
            "delete",
            "Whether tags, manifests and blobs may be deleted (default true)",
        ))
        .arg(switch(
            "access-log",
            "Whether each request is a line on standard output (default true)",
        ))
        .arg(switch(
            "validate",
            "Check the configuration and serve nothing",
        ));
    let htpasswd = Command::new("htpasswd")
        .about("Print a line for the htpasswd file; the password is read from standard input")
        .arg(Arg::new("user").required(true).help("Name of the user"));
    Command::new("onggi-registry")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A registry for container images")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve)
        .subcommand(htpasswd)
}

fn htpasswd(matches: &ArgMatches) -> Result<(), String> {
    let user = matches.get_one::<String>("user").map_or("", String::as_str);
    let mut password = String::new();
    let read = std::io::stdin().read_line(&mut password);
    read.map_err(|error| format!("read the password: {error}"))?;
    let line = htpasswd_line(user, password.trim_end_matches(['\r', '\n']))?;
    writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())
}

/// The file, with what was typed in place of what it says.
fn configuration(matches: &ArgMatches) -> Result<Config, String> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let file = path("config");
    let mut config = Config::read(file.as_deref()).map_err(|error| chain(&error))?;
    if let Some(addresses) = matches.get_many::<String>("listen") {
        config.listen = addresses.cloned().collect();
    }
    if let Some(storage) = path("storage") {
        config.storage = storage;
    }
    if let (Some(certificate), Some(key)) = (path("tls-certificate"), path("tls-key")) {
        config.tls = Some(Tls {
            certificate,
            key,
            client_ca: path("tls-client-ca"),
        });
    }
    if let Some(htpasswd) = path("htpasswd") {
        config
            .auth
            .get_or_insert_with(config::Auth::default)
            .htpasswd = Some(htpasswd);
    }
    if let Some(delete) = matches.get_one("delete") {
        config.delete = *delete;
    }
    if let Some(log) = matches.get_one("access-log") {
        config.access_log = *log;
    }
    config.check().map_err(|error| chain(&error))?;
    Ok(config)
}

fn serve(matches: &ArgMatches) -> Result<(), String> {
    // A huge page for each stack and heap segment would make up most of our memory.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let config = configuration(matches)?;
    let tls = match &config.tls {
        Some(tls) => {
            let tls = ServerTls::new(tls.client_ca.as_deref(), &tls.certificate, &tls.key);
            Some(tls.map_err(|error| chain(&error))?)
        }
        None => None,
    };
    let upstreams = Upstreams::open(&config.upstreams)?;
    if matches.get_one("validate") == Some(&true) {
        // With the files it names, as far as nothing is written.
        validate(&config)?;
        return writeln!(std::io::stdout(), "configuration OK").map_err(|error| error.to_string());
    }
    let filter = EnvFilter::try_from_env("ONGGI_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(false);
    let _ = log
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(DISK_THREADS)
        .thread_keep_alive(Duration::from_secs(2))
        .build();
    let runtime = runtime.map_err(|error| format!("start the runtime: {error}"))?;
    let served = runtime.block_on(run(config, tls, upstreams));
    // What still blocks after the time it was given is cut off.
    runtime.shutdown_background();
    served
}

/// Threads that wait for the disk. More would not make it faster, and each keeps memory of its own ready.
const DISK_THREADS: usize = 16;

/// The files of the configuration, without making any.
fn validate(config: &Config) -> Result<(), String> {
    let Some(auth) = &config.auth else {
        return Ok(());
    };
    let ours = auth
        .token
        .as_ref()
        .is_some_and(|token| token.realm.is_none());
    // Our own key is made when it is not there: that is for `serve`.
    let auth = config::Auth {
        htpasswd: auth.htpasswd.clone(),
        token: auth
            .token
            .as_ref()
            .filter(|_| !ours)
            .map(|token| config::Token {
                realm: token.realm.clone(),
                keys: token.keys.clone(),
                ..config::Token::default()
            }),
        ..config::Auth::default()
    };
    Gate::open(Some(&auth), &config.storage)
        .map(drop)
        .map_err(|error| chain(&error))
}

async fn run(config: Config, tls: Option<ServerTls>, upstreams: Upstreams) -> Result<(), String> {
    let signals = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
    let (mut terminate, mut interrupt) = (
        signals(SignalKind::terminate())?,
        signals(SignalKind::interrupt())?,
    );
    let root = config.storage.clone();
    let storage = onggi_rt::blocking("open storage", move || Storage::open(&root)).await;
    let storage = Arc::new(storage.map_err(|e| e.to_string())?.map_err(|e| chain(&e))?);
    let gate = Gate::open(config.auth.as_ref(), storage.root()).map_err(|error| chain(&error))?;
    let mut listeners = Vec::new();
    for address in &config.listen {
        let address = Address::parse(address).map_err(|error| chain(&error))?;
        let listener = match (&address, &tls) {
            (Address::Unix(path), _) => Listener::unix(path, 0o660, None),
            (Address::Tcp(host), Some(tls)) => Listener::tls(host, tls).await,
            (Address::Tcp(host), None) => Listener::tcp(host).await,
        };
        let listener = listener.map_err(|error| chain(&error))?;
        let scheme = match (&address, &tls) {
            (Address::Tcp(_), Some(_)) => "https",
            _ => "http",
        };
        match (listener.local_address(), listener.path()) {
            (Some(address), _) => tracing::info!(%address, scheme, "listening"),
            (None, path) => {
                tracing::info!(path = ?path.unwrap_or(std::path::Path::new("")), "listening")
            }
        }
        listeners.push((listener, scheme));
    }
    let shutdown = Shutdown::new();
    let limits = Limits::new(config.limits.head_timeout, config.limits.connections);
    let patience = config.shutdown_timeout;
    let collecting = tokio::spawn(collect(
        storage.clone(),
        config.collect.interval,
        config.collect.policy(),
    ));
    let app = Arc::new(App::new(config, storage, gate, upstreams));
    let serving: Vec<_> = listeners
        .into_iter()
        .map(|(listener, scheme)| {
            let app = app.clone();
            let handler = move |request| app.clone().handle(scheme, request);
            tokio::spawn(serve_within(
                listener,
                handler,
                shutdown.clone(),
                patience,
                limits.clone(),
            ))
        })
        .collect();
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    shutdown.trigger();
    collecting.abort();
    for serving in serving {
        let _ = serving.await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Collects, again and again.
async fn collect(storage: Arc<Storage>, interval: Duration, policy: crate::storage::Policy) {
    if interval.is_zero() {
        return;
    }
    loop {
        let (storage, policy) = (storage.clone(), policy.clone());
        let began = Instant::now();
        match onggi_rt::blocking("collect", move || storage.collect(&policy, Instant::now())).await
        {
            Ok(Ok(collected)) if collected != crate::storage::Collected::default() => {
                let crate::storage::Collected {
                    manifests,
                    blobs,
                    files,
                    bytes,
                    uploads,
                } = collected;
                let took = began.elapsed();
                tracing::info!(manifests, blobs, files, bytes, uploads, ?took, "collected");
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "not collected"),
            Err(error) => tracing::warn!(%error, "not collected"),
        }
        tokio::time::sleep(interval).await;
    }
}
