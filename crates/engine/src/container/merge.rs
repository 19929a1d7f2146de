//! A container's configuration over its image's: what the client left open, the image fills.

use onggi_api::container::Config;
use onggi_oci::image::ContainerConfig;

use crate::error::{Error, Result};

/// Fills `config` from the image's configuration, by Docker's rules.
pub(crate) fn merge(config: &mut Config, image: &ContainerConfig) {
    if config.user.is_empty() {
        config.user = image.user.clone();
    }
    let exposed = image.exposed_ports.keys().cloned();
    if !image.exposed_ports.is_empty() {
        config.exposed_ports.get_or_insert_default().extend(exposed);
    }
    fill(&mut config.volumes, image.volumes.keys().cloned());
    merge_environment(config, &image.env);
    let labels = config.labels.get_or_insert_default();
    for (name, value) in &image.labels {
        labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&image.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.entrypoint);
        }
    }
    if config.entrypoint.as_deref() == Some(&[String::new()]) {
        // `--entrypoint ""`: the image's is cleared, and its command with it.
        config.entrypoint = None;
    }
    if config.working_dir.is_empty() {
        config.working_dir = image.working_dir.clone();
    }
    if config.shell.is_none() {
        config.shell.clone_from(&image.shell);
    }
    merge_health(config, image);
    if config.stop_signal.is_empty() {
        config.stop_signal = image.stop_signal.clone().unwrap_or_default();
    }
}

fn fill<V: Default>(
    own: &mut Option<std::collections::BTreeMap<String, V>>,
    image: impl Iterator<Item = String>,
) {
    for key in image {
        own.get_or_insert_default().entry(key).or_default();
    }
}

/// The client's variables first, then those of the image that it does not set.
fn merge_environment(config: &mut Config, image: &[String]) {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let own = config.env.take().unwrap_or_default();
    let missing = image
        .iter()
        .filter(|v| !own.iter().any(|o| name(o) == name(v)))
        .cloned();
    let merged: Vec<_> = own.iter().cloned().chain(missing).collect();
    if !merged.is_empty() {
        config.env = Some(merged);
    }
}

/// The image's health check, where the client has none; its parts, where the client leaves them open.
fn merge_health(config: &mut Config, image: &ContainerConfig) {
    let Some(image) = &image.healthcheck else {
        return;
    };
    let own = config.healthcheck.get_or_insert_default();
    if own.test.as_ref().is_none_or(Vec::is_empty) {
        own.test.clone_from(&image.test);
    }
    for (own, image) in [
        (&mut own.interval, image.interval),
        (&mut own.timeout, image.timeout),
        (&mut own.start_period, image.start_period),
        (&mut own.start_interval, image.start_interval),
        (&mut own.retries, image.retries),
    ] {
        if *own == 0 {
            *own = image;
        }
    }
}

/// What runs: entrypoint and command in one.
pub(crate) fn command(config: &Config) -> Result<(String, Vec<String>)> {
    let mut words = config
        .entrypoint
        .iter()
        .flatten()
        .chain(config.cmd.iter().flatten())
        .cloned();
    match words.next() {
        Some(path) => Ok((path, words.collect())),
        None => Err(Error::invalid("no command specified")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|&w| w.to_owned()).collect())
    }

    fn run(
        entrypoint: Option<Vec<String>>,
        cmd: Option<Vec<String>>,
        image: &ContainerConfig,
    ) -> Result<String> {
        let mut config = Config {
            entrypoint,
            cmd,
            ..Config::default()
        };
        merge(&mut config, image);
        let (path, args) = command(&config)?;
        Ok([vec![path], args].concat().join(" "))
    }

    #[test]
    fn entrypoint_and_command() {
        let image = ContainerConfig {
            entrypoint: words(&["/entry"]),
            cmd: words(&["serve"]),
            ..ContainerConfig::default()
        };
        for (entrypoint, cmd, expected) in [
            (None, None, "/entry serve"),
            (None, words(&["other"]), "/entry other"),
            (words(&["/mine"]), None, "/mine"),
            (words(&["/mine"]), words(&["x"]), "/mine x"),
            (words(&[""]), words(&["x"]), "x"),
        ] {
            assert_eq!(run(entrypoint, cmd, &image).expect(expected), expected);
        }
        let error = run(None, None, &ContainerConfig::default()).expect_err("nothing to run");
        assert_eq!(error.to_string(), "no command specified");
    }

    #[test]
    fn the_client_wins_over_the_image() {
        let image = ContainerConfig {
            env: words(&["PATH=/bin", "A=image"]).expect("words"),
            user: "web".to_owned(),
            ..ContainerConfig::default()
        };
        let mut config = Config {
            env: words(&["A=client"]),
            ..Config::default()
        };
        merge(&mut config, &image);
        assert_eq!(config.env, words(&["A=client", "PATH=/bin"]));
        assert_eq!(config.user, "web");
    }
}
