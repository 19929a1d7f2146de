//! Libraries that others wrote, from PyPI and npm: installed once into a folder of the build, whatever number of tests
//! asks for them at the same time.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where packages come from.
#[derive(Clone, Copy)]
pub(crate) enum Registry {
    PyPi,
    Npm,
}

/// Packages that belong together, each with its version.
pub(crate) struct Packages {
    pub(crate) name: &'static str,
    pub(crate) registry: Registry,
    pub(crate) list: &'static [&'static str],
}

pub(crate) const DOCKER_PY: Packages = Packages {
    name: "docker-py",
    registry: Registry::PyPi,
    list: &["docker==7.2.0"],
};
pub(crate) const TESTCONTAINERS_PY: Packages = Packages {
    name: "testcontainers-py",
    registry: Registry::PyPi,
    list: &["docker==7.2.0", "testcontainers==4.15.0"],
};
pub(crate) const DOCKERODE: Packages = Packages {
    name: "dockerode",
    registry: Registry::Npm,
    list: &["dockerode@5.0.1", "tar-stream@3.1.7"],
};
pub(crate) const TESTCONTAINERS_JS: Packages = Packages {
    name: "testcontainers-js",
    registry: Registry::Npm,
    list: &["testcontainers@11.9.0"],
};

impl Packages {
    /// The folder they are in; `None` with a reason on standard error where their registry cannot be reached.
    pub(crate) fn installed(&self) -> Result<Option<PathBuf>> {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
        std::fs::create_dir_all(&cache)?;
        let lock = File::create(cache.join(format!("{}.lock", self.name)))?;
        // Held until the file is closed: tests are processes of their own, and the first one does the work for all.
        lock.lock().context("lock the packages")?;
        let (folder, mark) = (cache.join(self.name), self.list.join("\n"));
        let known = folder.join("installed");
        if std::fs::read_to_string(&known).is_ok_and(|text| text == mark) {
            return Ok(Some(folder));
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        if let Err(error) = self.install(&folder) {
            eprintln!("skipped: {} cannot be installed: {error:#}", self.name);
            return Ok(None);
        }
        std::fs::write(known, mark)?;
        Ok(Some(folder))
    }

    fn install(&self, folder: &Path) -> Result<()> {
        match self.registry {
            Registry::PyPi => {
                run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
                let mut pip = Command::new(folder.join("bin/pip"));
                run(pip
                    .args(["install", "--quiet", "--retries", "1"])
                    .args(self.list))
            }
            Registry::Npm => {
                std::fs::write(folder.join("package.json"), r#"{"private": true}"#)?;
                let mut npm = Command::new("npm");
                npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
                    .args(["--fetch-retries", "1", "--prefix"])
                    .arg(folder);
                run(npm.args(self.list).current_dir(folder))
            }
        }
    }

    /// A program of ours that uses them.
    pub(crate) fn program(&self, folder: &Path, script: &Path) -> Command {
        let mut command = match self.registry {
            Registry::PyPi => Command::new(folder.join("bin/python")),
            Registry::Npm => Command::new("node"),
        };
        // Node looks beside the script first; Python must not write there.
        command
            .arg(script)
            .env("NODE_PATH", folder.join("node_modules"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}", text.lines().last().unwrap_or_default());
    }
    Ok(())
}
