//! The list of everyday commands, by clients and daemons that others wrote: the real docker CLI on our daemon, and our
//! CLI on the real dockerd. One body, two pairs of subjects.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod bollard; // Rust's client library
mod builds; // images from Dockerfiles
mod everyday; // what is done
mod exchange; // images between clients and registries of different makers
mod inside; // the client in a container, with the socket
mod libraries; // programs that use the libraries of Python and Node
mod packages; // those libraries, installed
mod registries; // all tags, lists for several platforms, searches
mod websocket; // attach by websocket

use anyhow::Result;
use onggi_testkit::{Client, Daemon, DaemonOptions, Subject, Terminal};
use std::path::Path;
use std::process::Command;

/// The docker CLI, where there is one.
fn docker() -> Option<Client> {
    ["/usr/local/bin/docker", "/usr/bin/docker"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .map(|path| Client::Docker(path.into()))
}

/// What is missing for a pair of subjects.
fn missing(subject: Subject, client: Option<&Client>) -> Option<&'static str> {
    if client.is_none() {
        return Some("no docker CLI is installed");
    }
    if subject == Subject::Dockerd && !Path::new("/usr/sbin/dockerd").exists() {
        return Some("no dockerd is installed");
    }
    if !Terminal::is_possible() {
        return Some("tmux is not installed");
    }
    let registry = Command::new("docker-registry").arg("--version").output();
    registry
        .is_err()
        .then_some("no docker-registry is installed")
}

/// Does a test with a daemon and a client, or says why not.
fn with(
    subject: Subject,
    client: Option<Client>,
    test: impl FnOnce(&Daemon) -> Result<()>,
) -> Result<()> {
    if let Some(reason) = missing(subject, client.as_ref()) {
        eprintln!("skipped: {reason}");
        return Ok(());
    }
    let daemon = Daemon::start_with(DaemonOptions {
        subject: Some(subject),
        client,
        // Both know it; the registry comes up later.
        arguments: vec!["--registry-mirror=http://127.0.0.1:5000".to_owned()],
        ..DaemonOptions::default()
    })?;
    test(&daemon)?;
    daemon.clean()
}

macro_rules! pairs {
    ($($module:ident::$name:ident),* $(,)?) => {
        mod docker_on_onggid {
            use onggi_testkit::Subject;
            $(#[test] fn $name() -> anyhow::Result<()> {
                super::with(Subject::Onggi, super::docker(), super::$module::$name)
            })*
        }
        mod onggi_on_dockerd {
            use onggi_testkit::{Client, Subject};
            $(#[test] fn $name() -> anyhow::Result<()> {
                super::with(Subject::Dockerd, Some(Client::Onggi), super::$module::$name)
            })*
        }
        mod onggi_on_onggid {
            use onggi_testkit::{Client, Subject};
            $(#[test] fn $name() -> anyhow::Result<()> {
                super::with(Subject::Onggi, Some(Client::Onggi), super::$module::$name)
            })*
        }
    };
}

pairs!(
    everyday::images_come_from_the_mirror_and_go,
    everyday::images_are_shared_by_those_who_may,
    everyday::images_go_into_archives_and_come_back,
    everyday::streams_of_a_run,
    everyday::a_terminal_follows_the_size_of_the_window,
    everyday::a_server_is_published_inspected_and_stopped,
    everyday::logs_are_followed_to_the_end,
    everyday::exec_has_a_terminal,
    everyday::detach_keys_leave_the_container_running,
    builds::a_directory_becomes_an_image,
    builds::commands_run_with_what_the_flags_say,
    builds::what_fails_is_told,
    registries::all_tags_are_pulled,
    registries::images_of_several_platforms_get_one_name,
    registries::repositories_are_searched,
);

#[test]
fn the_client_in_a_container_starts_a_container() -> Result<()> {
    with(
        Subject::Onggi,
        docker(),
        inside::the_client_in_a_container_starts_a_container,
    )
}
