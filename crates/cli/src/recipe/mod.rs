//! `inspect --as`: the command or the Compose service that makes a container again.
//!
//! What was said when the container was made is found by taking away what its image and the daemon would say anyway.

mod compose; // as a Compose file
mod inspect; // inspect --as
mod networks; // --network and what belongs to it
mod run; // as a command
mod settings; // what was said
mod storage; // volumes and mounts

use serde_json::Value;

pub(crate) use inspect::{AS, show};

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    /// The flag of `run`, without dashes.
    flag: &'static str,
    /// The key of a Compose service, with dots into maps; empty where Compose has none.
    key: &'static str,
    value: Said,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Switch(bool),
    Text(String),
    Number(i64),
    List(Vec<String>),
}

/// What the daemon does where nothing is said.
#[derive(Debug, Clone, Default)]
struct Defaults {
    log_driver: String,
    runtime: String,
    cgroupns: String,
}

/// How to make a container again.
#[derive(Debug, Clone)]
struct Recipe {
    name: String,
    settings: Vec<Setting>,
    detached: bool,
    image: String,
    /// More than the entrypoint's first word, which flags cannot say: it goes before the command.
    command: Vec<String>,
    /// The whole entrypoint, where it is not the image's.
    entrypoint: Option<Vec<String>>,
}

impl Recipe {
    /// From what `inspect` shows of a container, and of its image where that is still there.
    fn new(container: &Value, image: &Value, defaults: &Defaults) -> Self {
        let config = &container["Config"];
        let of_image = &image["Config"];
        let entrypoint = (words(&config["Entrypoint"]) != words(&of_image["Entrypoint"]))
            .then(|| words(&config["Entrypoint"]));
        let own = words(&config["Cmd"]);
        // An entrypoint of one's own takes the image's command away.
        let command = if entrypoint.is_none() && own == words(&of_image["Cmd"]) {
            Vec::new()
        } else {
            own
        };
        let attached = ["AttachStdin", "AttachStdout", "AttachStderr"]
            .iter()
            .any(|field| config[*field] == true);
        let name = container["Name"].as_str().unwrap_or_default();
        Recipe {
            name: name.trim_start_matches('/').to_owned(),
            settings: settings::all(container, image, defaults),
            detached: !attached,
            image: config["Image"].as_str().unwrap_or_default().to_owned(),
            command,
            entrypoint,
        }
    }
}

/// A list of texts; nothing is an empty one.
fn words(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
