//! `compose ps`: the containers of a project.

use std::collections::BTreeSet;

use onggi_compose::Container;
use serde_json::json;

use super::{containers, project};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, list, switch, value};
use crate::columns::ports;
use crate::command::{Arity, Command, command};
use crate::container::ls::FORMAT_HELP;
use crate::error::{Error, Result};
use crate::format::rows::Options;
use crate::format::{Column, Kind, List, column};
use crate::quote;
use crate::text::{ago, ellipsis, local_time, short_id};

/// Docker's words for where a container stands.
const STATES: &[&str] = &[
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
];

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Show all containers, also those that do not run and those of run",
    ),
    value(
        None,
        "filter",
        "string",
        "Show only what fits (status=running)",
    ),
    value(None, "format", "string", FORMAT_HELP),
    switch(None, "no-trunc", "Show everything at full length"),
    switch(
        None,
        "orphans",
        "Include containers of services that the files do not know",
    )
    .default("true"),
    switch(Some('q'), "quiet", "Show IDs only"),
    switch(None, "services", "Show the names of the services"),
    list(
        None,
        "status",
        "stringArray",
        "Show only containers that stand so (created, running, paused, restarting, removing, exited, dead)",
    )
    .completed(Complete::Words(STATES)),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "List the containers of a project",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose ps"], run)
};

const COLUMNS: &[Column<Container>] = &[
    column("Command", "COMMAND", |c, o| {
        quote(&if o.no_trunc {
            c.summary.command.clone()
        } else {
            ellipsis(&c.summary.command, 20)
        })
        .into()
    }),
    column("CreatedAt", "CREATED AT", |c, _| {
        local_time(c.summary.created).into()
    }),
    column("ExitCode", "EXIT CODE", |c, _| {
        c.exit_code.unwrap_or_default().into()
    }),
    column("Health", "HEALTH", |c, _| c.health.as_str().into()),
    column("ID", "CONTAINER ID", |c, o| {
        match o.no_trunc {
            true => c.id.as_str(),
            false => short_id(&c.id),
        }
        .into()
    }),
    column("Image", "IMAGE", |c, _| c.image.clone().into()),
    column("Labels", "LABELS", |c, _| {
        let labels = c.labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        labels.join(",").into()
    }),
    Column {
        name: "Label",
        header: "",
        kind: Kind::Method(|c, key| c.labels.get(key).cloned().unwrap_or_default()),
    },
    column("LocalVolumes", "LOCAL VOLUMES", |c, _| {
        let local = c
            .summary
            .mounts
            .iter()
            .filter(|mount| mount.driver == "local");
        local.count().to_string().into()
    }),
    column("Mounts", "MOUNTS", |c, o| {
        let name = |mount: &onggi_api::container::MountPoint| {
            let name = match mount.name.is_empty() {
                true => &mount.source,
                false => &mount.name,
            };
            match o.no_trunc {
                true => name.clone(),
                false => ellipsis(name, 15),
            }
        };
        let names: Vec<String> = c.summary.mounts.iter().map(name).collect();
        names.join(",").into()
    }),
    column("Name", "NAME", |c, _| c.name.clone().into()),
    column("Names", "NAME", |c, _| c.name.clone().into()),
    column("Networks", "NETWORKS", |c, _| {
        let names = c.summary.network_settings.networks.keys();
        let names: Vec<&str> = names.map(String::as_str).collect();
        names.join(",").into()
    }),
    column("Ports", "PORTS", |c, _| {
        ports::display(&c.summary.ports).into()
    }),
    column("Project", "PROJECT", |c, _| {
        let name = c.labels.get(onggi_compose::labels::PROJECT);
        name.cloned().unwrap_or_default().into()
    }),
    column("Publishers", "PUBLISHERS", |c, _| publishers(c)),
    column("RunningFor", "CREATED", |c, _| {
        ago(c.summary.created).into()
    }),
    column("Service", "SERVICE", |c, _| c.service.clone().into()),
    column("Size", "SIZE", |_, _| "0B".into()),
    column("State", "STATE", |c, _| c.state.as_str().into()),
    column("Status", "STATUS", |c, _| c.summary.status.clone().into()),
];

const DEFAULT: &str =
    "{{.Name}}\t{{.Image}}\t{{.Command}}\t{{.Service}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}";

/// Where the ports are published.
fn publishers(container: &Container) -> serde_json::Value {
    let ports = container.summary.ports.runs().flat_map(|run| run.each());
    let ports = ports.map(|port| {
        json!({
            "URL": port.ip,
            "TargetPort": port.private_port,
            "PublishedPort": port.public_port,
            "Protocol": port.kind,
        })
    });
    ports.collect()
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let wanted = statuses(matches)?;
    let subject = project::subject(cli)?;
    let mut found = containers::all(cli, &subject)?;
    containers::check(&subject, &found, &matches.args)?;
    let all = matches.on("all") || !wanted.is_empty();
    let orphans = matches.on_or("orphans", true);
    found.retain(|container| {
        let known = |project: &onggi_compose::Project| {
            project.service(&container.service).is_some()
                || project.disabled.has(&container.service)
        };
        let asked = matches.args.is_empty() || matches.args.contains(&container.service);
        let fits = wanted.is_empty() || wanted.contains(container.state.as_str());
        let shown = all || (container.state.runs() && !container.oneoff);
        asked && fits && shown && (orphans || subject.project.as_ref().is_none_or(known))
    });
    found.sort_by(|left, right| left.name.cmp(&right.name));
    if matches.on("services") {
        let services: BTreeSet<&str> = found.iter().map(|one| one.service.as_str()).collect();
        for name in services {
            cli.line(name)?;
        }
        return Ok(0);
    }
    if matches.on("quiet") {
        for container in &found {
            cli.line(&container.id)?;
        }
        return Ok(0);
    }
    let options = Options {
        no_trunc: matches.on("no-trunc"),
        ..Options::default()
    };
    let rows = List {
        columns: COLUMNS,
        type_name: "*formatter.ContainerContext",
        default: DEFAULT.to_owned(),
        raw: None,
        options: &options,
    };
    let text = match matches.text("format") {
        "" => cli.settings.file.ps_format.clone(),
        "pretty" => String::new(),
        format => format.to_owned(),
    };
    let text = rows.render(&text, &found)?;
    cli.print(&text)?;
    Ok(0)
}

/// `--status` and `--filter status=`.
fn statuses(matches: &Matches) -> Result<BTreeSet<String>> {
    let mut wanted: BTreeSet<String> = matches.all("status").map(str::to_lowercase).collect();
    if let Some(filter) = matches.one("filter").filter(|filter| !filter.is_empty()) {
        match filter.split_once('=') {
            Some(("status", status)) => drop(wanted.insert(status.to_lowercase())),
            Some((name, _)) => return Err(Error::new(format!("unknown filter {name}"))),
            None => {
                return Err(Error::new(
                    "arguments to --filter should be in form KEY=VAL",
                ));
            }
        }
    }
    match wanted
        .iter()
        .find(|status| !STATES.contains(&status.as_str()))
    {
        Some(unknown) => Err(Error::new(format!(
            "no container can be {}: {}",
            quote(unknown),
            STATES.join(", ")
        ))),
        None => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    use onggi_compose::State;

    use super::*;

    #[test]
    fn every_state_can_be_asked_for() {
        for state in STATES {
            assert_eq!(State::parse(state).as_str(), *state);
        }
    }
}
