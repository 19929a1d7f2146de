//! From the flags of `build` to the parameters of `POST /build`: a pure function of flags, environment and `config.json`.

use std::collections::{BTreeMap, BTreeSet};

use onggi_api::container::Ulimit;
use onggi_model::csv;
use serde_json::json;

use super::cache;
use super::context::Source;
use super::named::Named;
use crate::args::Matches;
use crate::args::check::parse_extra_host;
use crate::container::request::{bytes, ulimits};
use crate::error::{Error, Result};
use crate::settings::Environment;

/// The parameters, in the order of their names.
pub(super) type Query = Vec<(&'static str, String)>;

/// What flags, environment and configuration say together.
pub(super) struct Asked<'a> {
    pub(super) matches: &'a Matches,
    pub(super) environment: &'a Environment,
    /// Variables for proxies, of `config.json`.
    pub(super) proxies: &'a [(String, String)],
    /// `--build-context`.
    pub(super) contexts: &'a [Named],
    /// The names it gets.
    pub(super) names: &'a [String],
    /// Whether the daemon knows what onggi has beyond Docker's API.
    pub(super) is_onggi: bool,
    /// Whether the daemon can do what is experimental.
    pub(super) is_experimental: bool,
    /// Whether its messages are to tell of each step.
    pub(super) steps: bool,
    /// Whether nothing but the ID is wanted.
    pub(super) quiet: bool,
}

/// Puts the parameters together.
///
/// # Errors
/// Values that cannot be, and what this daemon cannot do.
pub(super) fn query(asked: &Asked<'_>, source: &Source) -> Result<Query> {
    let matches = asked.matches;
    let mut query = Query::new();
    let mut add = |name: &'static str, value: String| {
        if !value.is_empty() {
            query.push((name, value));
        }
    };
    for name in asked.names {
        add("t", name.clone());
    }
    if asked.quiet {
        add("q", "1".to_owned());
    }
    for (flag, name) in [
        ("no-cache", "nocache"),
        ("force-rm", "forcerm"),
        ("pull", "pull"),
        ("squash", "squash"),
    ] {
        if matches.on(flag) {
            add(name, "1".to_owned());
        }
    }
    if !matches.on_or("rm", true) {
        add("rm", "0".to_owned());
    }
    for (flag, name) in [
        ("cpuset-cpus", "cpusetcpus"),
        ("cpuset-mems", "cpusetmems"),
        ("cgroup-parent", "cgroupparent"),
        ("target", "target"),
    ] {
        add(name, matches.text(flag).to_owned());
    }
    let unless = |flag: &str| matches.one(flag).filter(|text| *text != "default");
    add(
        "networkmode",
        unless("network").unwrap_or_default().to_owned(),
    );
    add(
        "isolation",
        unless("isolation").unwrap_or_default().to_owned(),
    );
    add("platform", platform(matches)?);
    for (flag, name) in [
        ("cpu-shares", "cpushares"),
        ("cpu-quota", "cpuquota"),
        ("cpu-period", "cpuperiod"),
    ] {
        add(name, number(matches.int(flag).unwrap_or(0)));
    }
    for (flag, name) in [
        ("memory", "memory"),
        ("memory-swap", "memswap"),
        ("shm-size", "shmsize"),
    ] {
        add(name, number(bytes(matches, flag)?));
    }
    for host in matches.all("add-host") {
        add("extrahosts", parse_extra_host(host).map_err(Error::new)?);
    }
    for option in matches.all("security-opt").flat_map(csv) {
        add("securityopt", option);
    }
    let ulimits = ulimits(matches).map_err(Error::new)?;
    let limit =
        |limit: &Ulimit| json!({"Name": limit.name, "Hard": limit.hard, "Soft": limit.soft});
    add("ulimits", some_json(ulimits.iter().map(limit)));
    let mut arguments = arguments(asked);
    if asked.is_onggi {
        let mut unless_given = |name: &str, value: Option<String>| {
            if value.is_some() {
                arguments.entry(name.to_owned()).or_insert(value);
            }
        };
        let epoch = asked.environment.get("SOURCE_DATE_EPOCH").cloned();
        unless_given("SOURCE_DATE_EPOCH", epoch);
    }
    if !arguments.is_empty() {
        add("buildargs", json!(arguments).to_string());
    }
    let pairs = matches
        .all("label")
        .map(|text| text.split_once('=').unwrap_or((text, "")));
    let labels: BTreeMap<&str, &str> = pairs.collect();
    if !labels.is_empty() {
        add("labels", json!(labels).to_string());
    }
    let caches = match asked.is_onggi {
        true => cache::sources(matches),
        false => cache::names(matches),
    };
    add("cachefrom", some_json(caches));
    match source {
        Source::Remote { url, dockerfile } => {
            add("remote", url.clone());
            add("dockerfile", dockerfile.clone());
        }
        Source::Archive { dockerfile } => add("dockerfile", dockerfile.clone()),
        Source::Dockerfile(_) => add("dockerfile", "Dockerfile".to_owned()),
        Source::Directory(directory) => add("dockerfile", directory.dockerfile.name.clone()),
    }
    beyond(asked, &mut add)?;
    add("version", "1".to_owned());
    query.sort_by_key(|(name, _)| *name);
    Ok(query)
}

/// What only our own daemon knows.
fn beyond(asked: &Asked<'_>, add: &mut impl FnMut(&'static str, String)) -> Result<()> {
    let matches = asked.matches;
    if !asked.is_onggi {
        return dockerd(asked);
    }
    if matches.on("squash") && !asked.is_experimental {
        return Err(experimental());
    }
    let contexts: serde_json::Map<String, serde_json::Value> = asked
        .contexts
        .iter()
        .map(|context| (context.name.clone(), context.place.parameter().into()))
        .collect();
    if !contexts.is_empty() {
        add("buildcontexts", json!(contexts).to_string());
    }
    add("cacheto", some_json(matches.all("cache-to")));
    let stages = matches.all("no-cache-filter").flat_map(csv);
    add(
        "nocachefilter",
        some_json(stages.filter(|stage| !stage.is_empty())),
    );
    if asked.steps {
        add("progress", "1".to_owned());
    }
    Ok(())
}

/// Refuses what Docker's daemon cannot do by this way.
fn dockerd(asked: &Asked<'_>) -> Result<()> {
    let matches = asked.matches;
    if matches.on("squash") && !asked.is_experimental {
        return Err(experimental());
    }
    let typed = |flag: &str| matches.all(flag).any(|text| text.contains('='));
    for (flag, is_given) in [
        ("secret", matches.given("secret")),
        ("ssh", matches.given("ssh")),
        ("build-context", matches.given("build-context")),
        ("no-cache-filter", matches.given("no-cache-filter")),
        ("cache-to", matches.given("cache-to")),
        ("cache-from=type=...", typed("cache-from")),
        ("progress=rawjson", matches.text("progress") == "rawjson"),
    ] {
        if is_given {
            return Err(Error::new(format!(
                "--{flag} needs onggi's own daemon: the API of Docker's first builder, which this daemon is asked by, has no such thing"
            )));
        }
    }
    Ok(())
}

fn experimental() -> Error {
    Error::new(
        "\"--squash\" is only supported on a Docker daemon with experimental features enabled",
    )
}

/// The build arguments: those for proxies, which flags overrule, and those given. One without a value that the
/// environment does not have is told as null: the Dockerfile's own default holds.
fn arguments(asked: &Asked<'_>) -> BTreeMap<String, Option<String>> {
    let mut all: BTreeMap<String, Option<String>> = asked
        .proxies
        .iter()
        .map(|(name, value)| (name.clone(), Some(value.clone())))
        .collect();
    for text in asked.matches.all("build-arg") {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, asked.environment.get(text).cloned()),
        };
        all.insert(name.to_owned(), value);
    }
    all
}

fn platform(matches: &Matches) -> Result<String> {
    let platforms = matches.all("platform").flat_map(csv);
    let platforms: BTreeSet<String> = platforms.map(|text| text.to_lowercase()).collect();
    if platforms.len() > 1 {
        return Err(Error::new(
            "one build makes the image of one platform: build each, and put them under one name with \"manifest create\"",
        ));
    }
    Ok(platforms.into_iter().next().unwrap_or_default())
}

fn number(number: i64) -> String {
    match number {
        0 => String::new(),
        number => number.to_string(),
    }
}

/// An array; nothing when it has no items.
fn some_json<T: serde::Serialize>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<T> = items.into_iter().collect();
    match items.is_empty() {
        true => String::new(),
        false => json!(items).to_string(),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
