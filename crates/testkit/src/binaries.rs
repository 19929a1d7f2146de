//! Where the programs under test are, and which ones are under test.

use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};

/// The folder of the workspace that the test belongs to: of the run, because a target folder that several clones share
/// may hold the build of another one.
#[must_use]
pub fn workspace() -> PathBuf {
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.ancestors().nth(2).unwrap_or(&own).to_path_buf()
}

/// Which daemon the suite runs against: `ONGGI_SUBJECT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `onggid`.
    Onggi,
    /// Docker's `dockerd`, the oracle: a test that fails on it is a wrong test.
    Dockerd,
}

impl Subject {
    /// From the environment; `onggid` when nothing is said.
    ///
    /// # Errors
    /// For a name that is none.
    pub fn from_env() -> Result<Self> {
        match env::var("ONGGI_SUBJECT").as_deref() {
            Err(_) | Ok("" | "onggi" | "onggid") => Ok(Self::Onggi),
            Ok("dockerd" | "docker") => Ok(Self::Dockerd),
            Ok(other) => bail!("ONGGI_SUBJECT={other}: use onggi or dockerd"),
        }
    }
}

/// Which command line is used: `ONGGI_CLIENT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    /// `onggi`.
    Onggi,
    /// A `docker` binary.
    Docker(PathBuf),
}

impl Client {
    /// From the environment, which holds `onggi` or the path of a `docker`.
    pub fn from_env() -> Self {
        match env::var_os("ONGGI_CLIENT") {
            None => Self::Onggi,
            Some(name) if name.is_empty() || name == "onggi" => Self::Onggi,
            Some(path) => Self::Docker(path.into()),
        }
    }
}

/// The programs of one build, all in one folder, because the daemon looks for the others beside itself.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The folder `ONGGI_BIN_DIR` (where `cargo xtask test` stages the static programs), else the build folder that
    /// the running test came out of.
    ///
    /// # Errors
    /// When the programs are not there.
    pub fn find() -> Result<Self> {
        let found = Self { folder: folder()? };
        for name in ["onggi", "onggid", "onggi-monitor", "onggi-init"] {
            let path = found.path(name);
            if !path.is_file() {
                bail!(
                    "{} is not there: run `cargo xtask test`, or `cargo build -p onggi`",
                    path.display()
                );
            }
        }
        Ok(found)
    }

    /// One program that needs none of the others.
    ///
    /// # Errors
    /// When it is not there.
    pub fn built(name: &str) -> Result<PathBuf> {
        let path = folder()?.join(name);
        if !path.is_file() {
            bail!(
                "{} is not there: run `cargo xtask test`, or `cargo build -p onggi`",
                path.display()
            );
        }
        Ok(path)
    }

    /// The programs of a folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The path of one program.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Where programs are looked for.
fn folder() -> Result<PathBuf> {
    match env::var_os("ONGGI_BIN_DIR") {
        Some(folder) => Ok(folder.into()),
        None => build_folder(),
    }
}

/// `target/debug` of `target/debug/deps/test-0123`.
fn build_folder() -> Result<PathBuf> {
    let own = env::current_exe().context("find this program")?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let up = if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    };
    Ok(up.unwrap_or(folder).to_path_buf())
}
