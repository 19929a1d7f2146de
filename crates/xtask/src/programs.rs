//! Cargo, and the programs it builds, brought together in one folder.
//!
//! What enters containers or stands beside each one is static and small (`tiny`), and built in a target folder of its
//! own, because the flags differ.

use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Quick to build, for tests.
    Debug,
    /// For use.
    Release,
}

/// Programs of the host.
pub(crate) const HOST: &[&str] = &[CLI, "onggid", "onggi-registry"];
/// The command line: static where it is built for use, which is half of its time to start, and lets it run in any
/// container that it is mounted into.
const CLI: &str = "onggi";
/// Static programs.
pub(crate) const STATIC: &[&str] = &["onggi-monitor", "onggi-init", "onggi-runtime"];

/// The folder of the workspace: where cargo runs us, not where we were compiled, which is another clone where several
/// share a target folder.
pub(crate) fn root() -> PathBuf {
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.ancestors().nth(2).unwrap_or(&own).to_path_buf()
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(given.unwrap_or_else(|| "target".into()))
}

/// `cargo` as it called us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set by `cargo run` for us, not for the builds we start.
    for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command and shows it.
pub(crate) fn call(command: &mut Command) -> Result<()> {
    let text = show(command);
    eprintln!("$ {text}");
    let status = command.status().with_context(|| format!("start {text}"))?;
    if !status.success() {
        bail!("{text}: {status}");
    }
    Ok(())
}

/// Runs a command and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let text = show(command);
    let output = command.output().with_context(|| format!("start {text}"))?;
    if !output.status.success() {
        bail!(
            "{text}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| text)
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut text = program.display().to_string();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Builds all programs and returns the folder that has them side by side.
pub(crate) fn stage(build: Build) -> Result<PathBuf> {
    let triple = triple()?;
    let separate = target().join("static");
    let mut small = cargo();
    small
        .args([
            "build",
            "--package",
            "onggi",
            "--no-default-features",
            "--profile",
            "tiny",
        ])
        .args(["--target", &triple])
        .env("CARGO_TARGET_DIR", &separate)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    for name in STATIC {
        small.args(["--bin", name]);
    }
    call(&mut small)?;
    let mut host = cargo();
    host.args(["build", "--package", "onggi"]);
    let profile = match build {
        Build::Debug => {
            for name in HOST {
                host.args(["--bin", name]);
            }
            call(&mut host)?;
            "debug"
        }
        Build::Release => {
            host.arg("--release");
            for name in HOST.iter().filter(|name| **name != CLI) {
                host.args(["--bin", name]);
            }
            call(&mut host)?;
            // The flag is for the last step alone: what it links is the same.
            let mut cli = cargo();
            cli.args(["rustc", "--package", "onggi", "--release", "--bin", CLI]);
            call(cli.args(["--", "-C", "target-feature=+crt-static"]))?;
            "release"
        }
    };
    let folder = target().join("stage").join(profile);
    std::fs::create_dir_all(&folder)?;
    let small = separate.join(&triple).join("tiny");
    for (names, from) in [(STATIC, small), (HOST, target().join(profile))] {
        for name in names {
            replace(&from.join(name), &folder.join(name))?;
        }
    }
    Ok(folder)
}

/// A copy that a running program does not stand in the way of.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<()> {
    let new = to.with_extension("new");
    let copied = std::fs::copy(from, &new).and_then(|_| std::fs::rename(&new, to));
    copied.with_context(|| format!("copy {} to {}", from.display(), to.display()))
}

/// The machine's triple, as `x86_64-unknown-linux-gnu`.
fn triple() -> Result<String> {
    let text = output(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}
