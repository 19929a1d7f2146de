//! `POST /build`: an image of a Dockerfile and a context, in a tar.
//!
//! Beside Docker's parameters there are ours, which our own command line sends: `progress` for news of steps instead of
//! lines, `nocachefilter`, `buildcontexts`. Asked to, the connection becomes a session ([`onggi_api::session`]), on which
//! contexts, secrets and agents are told of, and the news.

use std::collections::BTreeMap;

use http::header::UPGRADE;
use onggi_api::auth::AuthConfig;
use onggi_api::container::{HostConfig, Resources, Ulimit};
use onggi_api::session::PROTOCOL;
use onggi_engine::BuildOptions;
use onggi_http::{body, hijack_as};
use serde::de::DeserializeOwned;

use crate::call::{Call, Reply, base64_json};
use crate::failure::Failure;
use crate::progress::{self, Client};

pub(crate) async fn handle(call: Call) -> Reply {
    let options = options(&call)?;
    let (engine, legacy) = (call.engine.clone(), call.before(1, 52));
    let upgrade = call.headers.get(UPGRADE);
    if upgrade.is_some_and(|protocol| protocol == PROTOCOL) {
        let run = |connection| async move { engine.image_build_session(options, connection).await };
        return Ok(hijack_as(Some(PROTOCOL), "application/octet-stream", run));
    }
    let reader = body::reader(call.body);
    progress::stream_to(
        Client::Needed,
        "build an image",
        legacy,
        |sink| async move { engine.image_build(options, reader, sink).await },
    )
    .await
}

fn options(call: &Call) -> Result<BuildOptions, Failure> {
    check(call)?;
    let text = |key: &str| call.query.text(key).to_owned();
    let logins: BTreeMap<String, AuthConfig> = call
        .headers
        .get("x-registry-config")
        .and_then(|header| base64_json(header.to_str().ok()?))
        .unwrap_or_default();
    let arguments: Option<BTreeMap<String, Option<String>>> = document(call, "buildargs")?;
    let labels: Option<BTreeMap<String, String>> = document(call, "labels")?;
    let cache_from: Option<Vec<String>> = document(call, "cachefrom")?;
    let cache_to: Option<Vec<String>> = document(call, "cacheto")?;
    let stages: Option<Vec<String>> = document(call, "nocachefilter")?;
    let contexts: Option<BTreeMap<String, String>> = document(call, "buildcontexts")?;
    Ok(BuildOptions {
        dockerfile: text("dockerfile"),
        tags: call
            .query
            .all("t")
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect(),
        target: call.given("target"),
        platform: call.given("platform"),
        arguments: arguments.unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        no_cache: call.flag("nocache"),
        no_cache_stages: stages.unwrap_or_default().into_iter().collect(),
        pull: call.flag("pull"),
        quiet: call.flag("q"),
        steps: call.flag("progress"),
        host: host(call)?,
        remote: call
            .given("remote")
            .filter(|remote| remote != "client-session"),
        cache_from: cache_from.unwrap_or_default(),
        cache_to: cache_to.unwrap_or_default(),
        logins,
        contexts: contexts.unwrap_or_default(),
    })
}

/// Where commands run, and with what.
fn host(call: &Call) -> Result<HostConfig, Failure> {
    let text = |key: &str| call.query.text(key).to_owned();
    let ulimits: Option<Vec<Ulimit>> = document(call, "ulimits")?;
    Ok(HostConfig {
        network_mode: text("networkmode"),
        extra_hosts: Some(call.query.all("extrahosts").map(str::to_owned).collect()),
        shm_size: call.number("shmsize")?.unwrap_or_default(),
        resources: Resources {
            memory: call.number("memory")?.unwrap_or_default(),
            memory_swap: call.number("memswap")?.unwrap_or_default(),
            cpu_shares: call.number("cpushares")?.unwrap_or_default(),
            cpu_period: call.number("cpuperiod")?.unwrap_or_default(),
            cpu_quota: call.number("cpuquota")?.unwrap_or_default(),
            cpuset_cpus: text("cpusetcpus"),
            cpuset_mems: text("cpusetmems"),
            cgroup_parent: text("cgroupparent"),
            ulimits,
            ..Resources::default()
        },
        ..HostConfig::default()
    })
}

/// Refuses what cannot be had.
fn check(call: &Call) -> Result<(), Failure> {
    if call.query.text("version") == "2" {
        return Err(Failure::not_implemented(
            "BuildKit's protocol is not there yet in onggi: build with \"onggi build\", or set DOCKER_BUILDKIT=0 for docker",
        ));
    }
    if call
        .query
        .all("securityopt")
        .any(|option| !option.is_empty())
    {
        return Err(Failure::invalid(
            "The daemon on this platform does not support setting security options on build",
        ));
    }
    if !matches!(call.query.text("isolation"), "" | "default") {
        return Err(Failure::invalid(
            "unsupported isolation: linux only supports 'default'",
        ));
    }
    if call.flag("squash") {
        return Err(Failure::invalid(
            "squash is only supported with experimental mode",
        ));
    }
    if let Some(outputs) = document::<Vec<serde_json::Value>>(call, "outputs")?
        && !outputs.is_empty()
    {
        return Err(Failure::not_implemented(
            "POST /build: the parameter outputs is BuildKit's; \"onggi build --output\" writes files",
        ));
    }
    Ok(())
}

/// A parameter that is JSON.
fn document<T: DeserializeOwned>(call: &Call, key: &str) -> Result<Option<T>, Failure> {
    match call.given(key) {
        None => Ok(None),
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| Failure::invalid(format!("error reading {key}: {error}"))),
    }
}
