//! `compose build`: the images of services, what others are built on before them.

use std::collections::BTreeSet;

use onggi_compose::{Application, plan};
use serde_json::json;

use super::application::{self, failed};
use super::recipe::recipe;
use super::show::{Mode, mode};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::build::run::build;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    list(
        None,
        "build-arg",
        "stringArray",
        "Set a build argument, over those of the file",
    ),
    value(
        None,
        "builder",
        "string",
        "Name of the builder (\"default\" alone is there)",
    ),
    switch(None, "check", "Check the Dockerfiles, and build nothing"),
    value(Some('m'), "memory", "bytes", "Memory that RUN may take").checked(check::bytes),
    switch(None, "no-cache", "Do every step anew"),
    switch(
        None,
        "print",
        "Print what is built as a file for bake, and build nothing",
    ),
    value(
        None,
        "provenance",
        "string",
        "Attestation of where it comes from (refused but for false)",
    ),
    switch(
        None,
        "pull",
        "Fetch the images that are built on, even if they are there",
    ),
    switch(None, "push", "Push the images"),
    switch(Some('q'), "quiet", "Do not show the progress"),
    value(
        None,
        "sbom",
        "string",
        "Attestation of what is in it (refused but for false)",
    ),
    value(
        None,
        "ssh",
        "string",
        "Agent or keys for RUN --mount=type=ssh",
    ),
    switch(
        None,
        "with-dependencies",
        "Build what the services need as well",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Build the images of services",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose build"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let application = application::load(cli, &matches.args)?;
    let deps = matches.on("with-dependencies");
    let named = plan::named(&application, &matches.args, deps).map_err(failed)?;
    let services = order(&application, &named)?;
    if matches.on("print") {
        let text = bake(&application, &services);
        cli.line(&text)?;
        return Ok(0);
    }
    if services.is_empty() {
        cli.complain("No services to build")?;
        return Ok(0);
    }
    let progress = match mode(cli) {
        _ if matches.on("quiet") => "quiet",
        Mode::Quiet => "quiet",
        Mode::Terminal(..) => "tty",
        Mode::Plain => "plain",
        Mode::Json => "rawjson",
    };
    let kept = cli.environment.clone();
    // Secrets may be variables that only the project's files know.
    cli.environment.extend(application.variables.clone());
    for name in &services {
        let Some(service) = application.services.get(name) else {
            continue;
        };
        let image = service.image_name(&application.name);
        if cli.group.on("dry-run") {
            cli.line(&format!("build image {image}"))?;
            continue;
        }
        let mut recipe = recipe(&application, service, &image).map_err(Error::new)?;
        let mut more = vec![format!("--progress={progress}")];
        for flag in ["no-cache", "pull", "push", "check"] {
            if matches.on(flag) {
                more.push(format!("--{flag}"));
            }
        }
        for flag in ["builder", "memory", "provenance", "sbom", "ssh"] {
            if let Some(value) = matches.one(flag) {
                more.push(format!("--{flag}={value}"));
            }
        }
        more.extend(
            matches
                .all("build-arg")
                .map(|value| format!("--build-arg={value}")),
        );
        // Behind those of the file, which they go before, and before the context.
        let end = recipe.words.len() - 2;
        recipe.words.splice(end..end, more);
        build(cli, &recipe.words, recipe.dockerfile).map_err(|error| Error {
            message: match error.message.as_str() {
                "" => String::new(),
                text => format!("service {name}: {text}"),
            },
            ..error
        })?;
        cli.flush()?;
    }
    cli.environment = kept;
    Ok(0)
}

/// Services that are built, those whose images others are built on before these.
fn order(application: &Application, named: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for name in named {
        visit(application, name, &mut done, &mut Vec::new())?;
    }
    Ok(done)
}

fn visit(
    application: &Application,
    name: &str,
    done: &mut Vec<String>,
    above: &mut Vec<String>,
) -> Result<()> {
    if done.iter().any(|one| one == name) {
        return Ok(());
    }
    if above.iter().any(|one| one == name) {
        return Err(Error::new(format!(
            "services are built on each other in a circle: {} -> {name}",
            above.join(" -> ")
        )));
    }
    let build = application
        .services
        .get(name)
        .and_then(|one| one.build.as_ref());
    let Some(build) = build else {
        return Ok(());
    };
    above.push(name.to_owned());
    for place in build.additional_contexts.values() {
        if let Some(other) = place.strip_prefix("service:") {
            visit(application, other, done, above)?;
        }
    }
    above.pop();
    done.push(name.to_owned());
    Ok(())
}

/// What is built, as a file for buildx bake.
fn bake(application: &Application, services: &[String]) -> String {
    let mut targets = serde_json::Map::new();
    for service in services
        .iter()
        .filter_map(|name| application.services.get(name))
    {
        let Some(build) = &service.build else {
            continue;
        };
        let mut tags = vec![service.image_name(&application.name)];
        tags.extend(build.tags.iter().cloned());
        let mut target = json!({"context": build.context, "tags": tags});
        let mut set = |key: &str, value: serde_json::Value| {
            let empty = match &value {
                serde_json::Value::String(text) => text.is_empty(),
                serde_json::Value::Array(items) => items.is_empty(),
                serde_json::Value::Object(map) => map.is_empty(),
                value => *value == json!(false),
            };
            if !empty {
                target[key] = value;
            }
        };
        set("dockerfile", json!(build.dockerfile));
        set("dockerfile-inline", json!(build.dockerfile_inline));
        set("args", json!(build.args));
        set("labels", json!(build.labels));
        set("target", json!(build.target));
        set("cache-from", json!(build.cache_from));
        set("cache-to", json!(build.cache_to));
        set("platforms", json!(build.platforms));
        set("contexts", json!(build.additional_contexts));
        set("network", json!(build.network));
        set("no-cache", json!(build.no_cache));
        set("pull", json!(build.pull));
        targets.insert(service.name.clone(), target);
    }
    let file = json!({"group": {"default": {"targets": services}}, "target": targets});
    serde_json::to_string_pretty(&file).unwrap_or_default()
}
