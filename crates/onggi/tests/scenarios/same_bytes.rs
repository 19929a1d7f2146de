//! Both command lines, typed one after the other on one daemon, print the same bytes and end with the same code.
//!
//! What differs on purpose, and is not in the tables: the texts of help pages, which are ours; the nearest commands that
//! ours names for a mistyped one; bad detach keys, where ours passes the daemon's reason on; the version.

mod lines; // what is typed

use crate::scene::{Cli, Scene, docker, words};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Output, Process};
use std::path::PathBuf;
use std::process::Command;

/// Two command lines and one daemon.
struct Twins {
    scene: Scene,
    programs: [PathBuf; 2],
    /// The version of the API that Docker's speaks: what the daemon answers depends on it.
    api: String,
}

impl Twins {
    /// Ours is called `docker` too, and both see the same configuration. Texts are those of one version of Docker's.
    fn meet() -> Result<Option<Self>> {
        let Some(theirs) = docker() else {
            eprintln!("skipped: no docker CLI is installed");
            return Ok(None);
        };
        let Some(scene) = Scene::open(Cli::Onggi)? else {
            return Ok(None);
        };
        let ours = scene.daemon.path("bin/docker");
        std::fs::create_dir(scene.daemon.path("bin"))?;
        let program = scene.daemon.cli_command(&[])?.get_program().to_owned();
        std::os::unix::fs::symlink(program, &ours)?;
        let mut twins = Self {
            scene,
            programs: [theirs, ours],
            api: String::new(),
        };
        let version = twins.typed(
            0,
            "version --format '{{.Client.Version}} {{.Client.DefaultAPIVersion}}'",
        )?;
        let version = version.ok()?;
        let Some((version, api)) = version
            .split_once(' ')
            .filter(|(v, _)| v.starts_with("28."))
        else {
            eprintln!("skipped: the docker CLI is {version}, the texts are those of 28");
            return Ok(None);
        };
        eprintln!("beside docker {version}");
        twins.api = api.to_owned();
        Ok(Some(twins))
    }

    /// Types a line with one of them; `%` is its name, so that both can do the same to things of their own.
    fn typed(&self, which: usize, line: &str) -> Result<Output> {
        let name = ["theirs", "ours00"][which];
        let mut command = Command::new(&self.programs[which]);
        command
            .args(words(&line.replace('%', name))?)
            .env("DOCKER_HOST", self.scene.daemon.host())
            .env("DOCKER_CONFIG", self.scene.daemon.path("config"))
            .env("COLUMNS", "80")
            .env_remove("DOCKER_CONTEXT");
        if !self.api.is_empty() {
            command.env("DOCKER_API_VERSION", &self.api);
        }
        let mut process = Process::start(self.scene.daemon.namespace(), &mut command)?;
        process.close_stdin();
        let output = process.wait().with_context(|| line.to_owned())?;
        let plain = |text: &str| anonymous(&text.replace(name, "%"));
        Ok(Output {
            code: output.code,
            stdout: plain(&output.stdout),
            stderr: plain(&output.stderr),
        })
    }

    /// How the two differ in a line, if they do. What tells times (`2 seconds ago`) may change between the two: a line
    /// that only looks is typed again.
    fn difference(&self, line: &str) -> Result<Option<String>> {
        let mut last = None;
        for _ in 0..if line.contains('%') { 1 } else { 5 } {
            let (theirs, ours) = (self.typed(0, line)?, self.typed(1, line)?);
            if theirs == ours {
                return Ok(None);
            }
            last = Some(format!("{line}\n docker: {theirs:?}\n onggi:  {ours:?}"));
        }
        Ok(last)
    }

    /// Whether they are alike in all lines.
    fn alike(&self, lines: &[&str]) -> Result<()> {
        let mut differences = Vec::new();
        for line in lines {
            differences.extend(self.difference(line)?);
        }
        ensure!(
            differences.is_empty(),
            "{} lines:\n{}",
            differences.len(),
            differences.join("\n")
        );
        Ok(())
    }

    /// Does what a table stands on.
    fn prepare(&self, lines: &[&str]) -> Result<()> {
        for line in lines {
            self.scene.ok(line)?;
        }
        Ok(())
    }
}

/// Masks ids of full and of short length.
fn anonymous(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let word = &rest[..end];
        let is_id = word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        out.push_str(match word.len() {
            64 if is_id => "<id>",
            12 if is_id => "<short id>",
            _ => word,
        });
        rest = &rest[end..];
    }
    out + rest
}

/// Meets, prepares, compares.
fn compare(prepare: &[&str], lines: &[&str]) -> Result<()> {
    let Some(twins) = Twins::meet()? else {
        return Ok(());
    };
    twins.prepare(prepare)?;
    twins.alike(lines)?;
    twins.scene.daemon.clean()
}

#[test]
fn lists() -> Result<()> {
    compare(lines::STAGE, lines::LISTS)
}

#[test]
fn documents_and_looks() -> Result<()> {
    compare(lines::STAGE, lines::LOOKS)
}

#[test]
fn runs_and_what_they_refuse() -> Result<()> {
    compare(lines::STAGE, lines::RUNS)
}

#[test]
fn deeds_and_what_they_refuse() -> Result<()> {
    compare(lines::STAGE, lines::DEEDS)
}

#[test]
fn the_system_and_contexts() -> Result<()> {
    compare(lines::STAGE, lines::SYSTEM)
}

#[test]
fn ids_are_masked() {
    let id = "0123456789ab";
    assert_eq!(
        anonymous(&format!("a {id}\n{id}x \"{id}\"")),
        format!("a <short id>\n{id}x \"<short id>\"")
    );
}
