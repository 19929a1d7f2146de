//! `compose`: the model as it is printed, and what is asked and done about containers that carry a project's labels,
//! whoever made them.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod attached; // up, with what containers write
mod called; // by which names
mod config; // the model, printed
mod deeds; // exec, cp, kill, ...
mod digests; // images by what they are
mod flags; // and where they are documented
mod images; // built, pushed, pulled
mod life; // made, started, stopped, removed
mod lists; // ls, ps, images, ...
mod logs; // what containers wrote
mod oneoff; // run
mod watch; // files that follow

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Output};

/// A container as Compose makes it, by hand: what is found is found by labels.
struct Made<'a> {
    project: &'a str,
    service: &'a str,
    number: u32,
    oneoff: bool,
}

impl Made<'_> {
    /// Creates and starts it; returns its id.
    fn run(&self, daemon: &Daemon, flags: &[&str], script: &str) -> Result<String> {
        let name = format!("{}-{}-{}", self.project, self.service, self.number);
        let oneoff = if self.oneoff { "True" } else { "False" };
        let labels = [
            format!("com.docker.compose.project={}", self.project),
            format!("com.docker.compose.service={}", self.service),
            format!("com.docker.compose.container-number={}", self.number),
            format!("com.docker.compose.oneoff={oneoff}"),
            "com.docker.compose.project.config_files=/srv/compose.yaml".to_owned(),
        ];
        let mut arguments = vec!["run", "-d", "--name", &name];
        for label in &labels {
            arguments.extend(["--label", label]);
        }
        arguments.extend(flags);
        arguments.extend(["busybox", "sh", "-c", script]);
        Ok(daemon.cli(&arguments)?.ok()?.to_owned())
    }
}

/// The container of a service in the project `shop`.
fn made(service: &str, number: u32) -> Made<'_> {
    Made {
        project: "shop",
        service,
        number,
        oneoff: false,
    }
}

/// What lives until it is killed.
const SLEEP: &str = "exec sleep 1000000";

/// Writes a file of the test's folder; returns its path.
fn write(daemon: &Daemon, name: &str, text: &str) -> Result<String> {
    let path = daemon.path(name);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// `onggi compose` in a folder of the test's.
fn compose_in(daemon: &Daemon, folder: &str, arguments: &[&str]) -> Result<Output> {
    let folder = daemon.path(folder);
    std::fs::create_dir_all(&folder)?;
    let arguments = [&["compose"], arguments].concat();
    let mut command = daemon.cli_command(&arguments)?;
    command.current_dir(folder);
    onggi_testkit::Process::start(daemon.namespace(), &mut command)?
        .wait()
        .with_context(|| arguments.join(" "))
}

/// `onggi compose -p shop`.
fn shop(daemon: &Daemon, arguments: &[&str]) -> Result<Output> {
    daemon.cli(&[&["compose", "-p", "shop"], arguments].concat())
}

/// Whether the command failed and said this.
fn refused(output: &Output, text: &str) -> Result<()> {
    ensure!(
        output.code != 0 && output.stderr.contains(text),
        "{text:?} in {output:?}"
    );
    Ok(())
}
