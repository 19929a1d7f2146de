//! Files into the containers of a service, and commands behind them.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use onggi_api::exec::CreateRequest;
use onggi_client::Client;
use onggi_compose::{Application, Container};

use super::rules::{Exec, Rule};
use crate::Cli;
use crate::container::exec;
use crate::error::{Error, Result, path_error};
use crate::stream::stdin;

/// The containers of a service that run.
fn containers(cli: &mut Cli, application: &Application, service: &str) -> Result<Vec<Container>> {
    let client = cli.client()?;
    let mut found = cli.block_on(onggi_compose::containers(&client, &application.name))??;
    found.retain(|one| one.service == service && !one.oneoff && one.state.runs());
    Ok(found)
}

/// Every file below a path.
pub(super) fn all(path: &Path, found: &mut BTreeSet<PathBuf>) {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().for_each(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => all(&entry.path(), found),
            _ => drop(found.insert(entry.path())),
        }),
        Err(_) => drop(found.insert(path.to_owned())),
    }
}

/// Copies what is there, and removes what is not.
pub(super) fn copy(
    cli: &mut Cli,
    application: &Application,
    rule: &Rule,
    paths: &[&PathBuf],
) -> Result<()> {
    let targets = containers(cli, application, &rule.service)?;
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(false);
    tar.mode(tar::HeaderMode::Complete);
    let (mut gone, mut there) = (Vec::new(), false);
    for path in paths {
        let Some(below) = rule.means(path) else {
            continue;
        };
        let place = rule.place(below);
        let name = place.trim_start_matches('/');
        let failed =
            |error: std::io::Error| path_error("read", &path.display().to_string(), &error);
        match std::fs::symlink_metadata(path) {
            Ok(data) if data.is_dir() => {}
            Ok(_) => {
                match tar.append_path_with_name(path, name) {
                    Ok(()) => there = true,
                    // It went while it was read: that is told of next.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => gone.push(place),
            Err(error) => return Err(failed(error)),
        }
    }
    let archive = tar.into_inner()?;
    let client = cli.client()?;
    for container in &targets {
        if there {
            let body = stdin::body(Cursor::new(archive.clone()));
            cli.block_on(client.container_extract(&container.id, "/", false, body))??;
        }
        if !gone.is_empty() {
            let mut command = vec!["rm".to_owned(), "-rf".to_owned()];
            command.extend(gone.iter().cloned());
            let exec = Exec {
                command,
                ..Exec::default()
            };
            cli.block_on(run(&client, container, &exec))??;
        }
    }
    Ok(())
}

/// Runs the rule's command in every container of its service.
pub(super) fn exec(cli: &mut Cli, application: &Application, rule: &Rule) -> Result<()> {
    let client = cli.client()?;
    for container in containers(cli, application, &rule.service)? {
        cli.block_on(run(&client, &container, &rule.exec))??;
    }
    Ok(())
}

async fn run(client: &Client, container: &Container, wanted: &Exec) -> Result<()> {
    let request = CreateRequest {
        user: wanted.user.clone(),
        privileged: wanted.privileged,
        attach_stdout: true,
        attach_stderr: true,
        env: Some(wanted.environment.clone()).filter(|env| !env.is_empty()),
        working_dir: wanted.working_dir.clone(),
        cmd: Some(wanted.command.clone()),
        ..CreateRequest::default()
    };
    match exec::exec(client, &container.id, request, false).await? {
        0 => Ok(()),
        code => Err(Error::new(format!(
            "{}: {:?} ended with exit code {code}",
            container.name, wanted.command
        ))),
    }
}
