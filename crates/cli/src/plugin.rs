//! Plugins of Docker's CLI: programs called `docker-NAME` that bring a command `NAME`.
//!
//! A plugin says who it is when it is called with one word, [`METADATA`]; it runs with the words typed, in our place.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::settings::{ConfigFile, Environment};

/// The word that asks a plugin who it is.
pub(crate) const METADATA: &str = "docker-cli-plugin-metadata";

/// Tells a plugin which program it runs for.
pub(crate) const ORIGINAL: &str = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND";

/// Where systems keep plugins.
const SYSTEM: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// A program that may be a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Who a plugin is, in its own words.
#[derive(Debug, Clone)]
pub(crate) struct Metadata(pub(crate) serde_json::Map<String, Value>);

impl Metadata {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(crate) fn hidden(&self) -> bool {
        self.0.get("Hidden") == Some(&Value::Bool(true))
    }
}

fn folders(directory: &Path, file: &ConfigFile) -> Vec<PathBuf> {
    let mut folders = file.plugin_directories.clone();
    folders.push(directory.join("cli-plugins"));
    folders.extend(SYSTEM.iter().map(PathBuf::from));
    folders
}

/// The plugin called `name`, in the first folder that has it.
pub(crate) fn find(directory: &Path, file: &ConfigFile, name: &str) -> Option<Plugin> {
    let proper = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !proper {
        return None;
    }
    folders(directory, file)
        .into_iter()
        .map(|folder| folder.join(format!("docker-{name}")))
        .find(|path| executable(path))
        .map(|path| Plugin {
            name: name.to_owned(),
            path,
        })
}

/// Every plugin, by name.
pub(crate) fn all(directory: &Path, file: &ConfigFile) -> Vec<Plugin> {
    let mut names: Vec<String> = folders(directory, file)
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            Some(name.strip_prefix("docker-")?.to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names
        .iter()
        .filter_map(|name| find(directory, file, name))
        .collect()
}

fn executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

impl Plugin {
    /// Asks the plugin who it is.
    ///
    /// # Errors
    /// When the program does not answer as a plugin does.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        let invalid = |reason: String| Error::new(reason);
        let output = Command::new(&self.path)
            .arg(METADATA)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(|error| {
                invalid(format!(
                    "failed to fetch metadata: {}",
                    crate::error::io_text(&error)
                ))
            })?;
        if !output.status.success() {
            return Err(invalid(format!(
                "failed to fetch metadata: {}",
                ended(output.status)
            )));
        }
        let document: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| invalid(format!("invalid metadata: {error}")))?;
        let Value::Object(fields) = document else {
            return Err(invalid("invalid metadata: no JSON object".to_owned()));
        };
        let metadata = Metadata(fields);
        let schema = metadata.text("SchemaVersion");
        if !schema.starts_with("0.") {
            return Err(invalid(format!(
                "plugin SchemaVersion {} is not valid, must be 0.1.0",
                crate::quote(schema)
            )));
        }
        if metadata.text("Vendor").is_empty() {
            return Err(invalid(
                "plugin metadata does not define a vendor".to_owned(),
            ));
        }
        Ok(metadata)
    }

    /// The plugin as `info` shows it: who it is and where, or why it is none.
    pub(crate) fn document(&self) -> Value {
        let mut document = match self.metadata() {
            Ok(metadata) => metadata.0,
            Err(error) => serde_json::Map::from_iter([("Err".to_owned(), error.message.into())]),
        };
        document.insert("Name".to_owned(), self.name.clone().into());
        document.insert("Path".to_owned(), self.path.display().to_string().into());
        document.into()
    }

    /// Becomes the plugin; returns only when that fails. `host` is where our daemon is, for plugins that would look
    /// elsewhere.
    pub(crate) fn run(&self, program: &str, args: &[String], host: Option<&str>) -> Error {
        let mut command = Command::new(&self.path);
        command.args(args).env(ORIGINAL, original(program));
        if let Some(host) = host {
            command.env("DOCKER_HOST", host);
        }
        crate::error::path_error("exec", &self.path.display().to_string(), &command.exec())
    }

    /// What can stand in the place of the last of `words`, by the protocol of Go's cobra: lines with a tab before what
    /// they mean, and at the end a line with a colon.
    pub(crate) fn complete(&self, program: &str, words: &[String]) -> Vec<String> {
        let output = Command::new(&self.path)
            .arg("__complete")
            .args(words)
            .env(ORIGINAL, original(program))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        // A plugin that cannot complete completes nothing.
        let Ok(output) = output else {
            return Vec::new();
        };
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .take_while(|line| !line.starts_with(':'))
            .map(|line| line.split('\t').next().unwrap_or_default().to_owned())
            .collect()
    }
}

/// This program, for plugins that call it back.
fn original(program: &str) -> String {
    match std::fs::read_link("/proc/self/exe") {
        Ok(path) => path.display().to_string(),
        Err(_) => program.to_owned(),
    }
}

fn ended(status: std::process::ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

/// The socket that plugins are told, when nobody else told them a daemon.
pub(crate) fn host(environment: &Environment, given: bool, context: &str) -> Option<String> {
    let said = |name: &str| environment.get(name).is_some_and(|text| !text.is_empty());
    let free = !given
        && !said("DOCKER_HOST")
        && !said("DOCKER_CONTEXT")
        && matches!(context, "" | "default");
    free.then(|| format!("unix://{}", crate::settings::DEFAULT_SOCKET))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(folder: &Path, name: &str, script: &str) {
        let folder = folder.join("cli-plugins");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("docker-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn plugins_say_who_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        install(
            folder,
            "good",
            r#"echo '{"SchemaVersion":"0.1.0","Vendor":"us","ShortDescription":"Good"}'"#,
        );
        install(folder, "anonymous", r#"echo '{"SchemaVersion":"0.1.0"}'"#);
        install(
            folder,
            "old",
            r#"echo '{"SchemaVersion":"9","Vendor":"us"}'"#,
        );
        install(folder, "broken", "exit 1");
        install(folder, "No-Name", "");
        let file = ConfigFile::default();
        let names: Vec<String> = all(folder, &file)
            .into_iter()
            .filter(|plugin| plugin.path.starts_with(folder))
            .map(|plugin| plugin.name)
            .collect();
        assert_eq!(names, ["anonymous", "broken", "good", "old"]);
        let metadata = |name: &str| find(folder, &file, name).unwrap().metadata();
        assert_eq!(metadata("good").unwrap().text("ShortDescription"), "Good");
        for (name, reason) in [
            ("anonymous", "does not define a vendor"),
            ("old", "SchemaVersion \"9\" is not valid"),
            ("broken", "failed to fetch metadata"),
        ] {
            let error = metadata(name).unwrap_err().message;
            assert!(error.contains(reason), "{error}");
        }
        assert!(find(folder, &file, "../good").is_none());
    }
}
