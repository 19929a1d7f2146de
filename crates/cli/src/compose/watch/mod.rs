//! `compose watch`: when files change, containers follow: files are copied, services restarted or built anew.

mod notify; // changes of files
mod rules; // what is done when
mod sync; // files into containers

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use onggi_compose::command::{Pull, Recreate, Restart, Up};
use onggi_compose::{Application, Known, plan};
use onggi_model::Filters;
use tokio::signal::unix::{SignalKind, signal};

use self::rules::{Action, Rule};
use super::application;
use super::drive::{Manner, drive};
use super::project;
use super::up::detached;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

/// Changes that follow each other so fast are one.
const TOGETHER: Duration = Duration::from_millis(40);

const FLAGS: &[Flag] = &[
    switch(None, "no-up", "Do not bring the services up before"),
    switch(None, "prune", "Remove images that were replaced").default("true"),
    switch(None, "quiet", "Do not show the progress of builds"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[SERVICE...]",
    about: "Copy files, restart or build services when their files change",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose watch"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    project::not_dry(cli, "watch")?;
    let mut options = project::options(cli)?;
    let project = project::load_with_profiles(cli, &mut options, &matches.args)?;
    let application = application::of(cli, &project, &matches.args)?;
    let rules = Arc::new(rules::rules(&project, &matches.args)?);
    // Before anything is started: what changes meanwhile counts.
    let mut changes = notify::watch(&rules)?;
    let quiet = matches.on("quiet");
    if !matches.on("no-up") {
        let up = Up {
            services: matches.args.clone(),
            ..Up::default()
        };
        let manner = Manner {
            quiet_build: quiet,
            ..Manner::titled("Running")
        };
        detached(cli, &application, &up, manner)?;
    }
    for rule in rules
        .iter()
        .filter(|rule| rule.initial && rule.action.syncs())
    {
        let mut all = BTreeSet::new();
        sync::all(&rule.path, &mut all);
        follow(
            cli,
            &application,
            std::slice::from_ref(rule),
            &all,
            &Told {
                quiet,
                prune: false,
            },
        )?;
    }
    cli.line("Watch enabled")?;
    cli.flush()?;
    let told = Told {
        quiet,
        prune: matches.on_or("prune", true),
    };
    loop {
        let batch = cli.block_on(async {
            // A build took these signals for itself, and left them taken.
            let mut interrupted = signal(SignalKind::interrupt())?;
            let mut ended = signal(SignalKind::terminate())?;
            let mut batch = BTreeSet::new();
            let first = tokio::select! {
                first = changes.recv() => first,
                _ = interrupted.recv() => return Err(Error::silent(130)),
                _ = ended.recv() => return Err(Error::silent(143)),
            };
            let Some(first) = first else {
                return Err(Error::new("nothing is watched any more"));
            };
            batch.insert(first?);
            while let Ok(more) = tokio::time::timeout(TOGETHER, changes.recv()).await {
                match more {
                    Some(more) => drop(batch.insert(more?)),
                    None => break,
                }
            }
            Ok(batch)
        })??;
        // A file that cannot be copied now may be when it changes again.
        if let Err(error) = follow(cli, &application, &rules, &batch, &told) {
            if error.message.is_empty() {
                return Err(error);
            }
            cli.complain(&error.message)?;
        }
    }
}

/// How what is done is told.
struct Told {
    quiet: bool,
    prune: bool,
}

/// Does what the rules say of these files.
fn follow(
    cli: &mut Cli,
    application: &Application,
    rules: &[Rule],
    batch: &BTreeSet<PathBuf>,
    told: &Told,
) -> Result<()> {
    let mut services: BTreeMap<&str, Vec<(&Rule, Vec<&PathBuf>)>> = BTreeMap::new();
    for rule in rules {
        let meant: Vec<&PathBuf> = batch
            .iter()
            .filter(|path| rule.means(path).is_some())
            .collect();
        if !meant.is_empty() {
            services
                .entry(&rule.service)
                .or_default()
                .push((rule, meant));
        }
    }
    for (service, rules) in services {
        if rules.iter().any(|(rule, _)| rule.action == Action::Rebuild) {
            rebuild(cli, application, service, told)?;
            continue;
        }
        for (rule, paths) in &rules {
            if rule.action.syncs() {
                cli.line(&format!(
                    "Syncing service {service:?} after {} changes were detected",
                    paths.len()
                ))?;
                cli.flush()?;
                sync::copy(cli, application, rule, paths)?;
            }
        }
        let restarts = |rule: &Rule| matches!(rule.action, Action::Restart | Action::SyncRestart);
        if rules.iter().any(|(rule, _)| restarts(rule)) {
            let restart = Restart {
                services: vec![service.to_owned()],
                no_deps: true,
                timeout: None,
            };
            drive(cli, Manner::titled("Restarting"), async |compose| {
                let facts = compose.observed(&application.name).await?;
                let plan = plan::restart(&application.name, Some(application), &facts, &restart)?;
                compose
                    .execute(Known::files(application), &facts, &plan)
                    .await
            })?;
            cli.line(&format!("service {service:?} restarted"))?;
            cli.flush()?;
        }
        for (rule, _) in rules
            .iter()
            .filter(|(rule, _)| rule.action == Action::SyncExec)
        {
            sync::exec(cli, application, rule)?;
        }
    }
    Ok(())
}

/// Builds a service's image, and makes its containers anew.
fn rebuild(cli: &mut Cli, application: &Application, service: &str, told: &Told) -> Result<()> {
    cli.line(&format!(
        "Rebuilding service {service:?} after changes were detected..."
    ))?;
    cli.flush()?;
    let up = Up {
        services: vec![service.to_owned()],
        no_deps: true,
        build: true,
        recreate: Recreate::Diverged,
        pull: Pull::Policy,
        ..Up::default()
    };
    let manner = Manner {
        quiet_build: told.quiet,
        ..Manner::titled("Running")
    };
    detached(cli, application, &up, manner)?;
    if told.prune {
        let mut filters = Filters::default();
        filters.add("dangling", "true");
        filters.add(
            "label",
            format!("{}={}", onggi_compose::labels::PROJECT, application.name),
        );
        let client = cli.client()?;
        cli.block_on(client.prune("images", &filters, false))??;
    }
    cli.line(&format!("service {service:?} successfully built"))?;
    cli.flush()
}
