//! `version`: of this program, the daemon and its parts.

use onggi_api::system::{Component, Version};
use onggi_gotmpl::{Data, Template};
use serde_json::json;

use super::inspect::FORMAT_HELP;
use super::kinds::Documents;
use crate::Cli;
use crate::args::{Flag, Matches, value};
use crate::command::{Command, command};
use crate::error::{Error, Result};
use crate::format::table::{Layout, align};

const FLAGS: &[Flag] = &[value(Some('f'), "format", "string", FORMAT_HELP)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Show the versions of client and daemon",
    flags: &[FLAGS],
    common: Some(5),
    ..command(&["version"], run)
};

/// The layout of the two blocks.
const LAYOUT: Layout = Layout {
    least: 20,
    padding: 1,
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let template = match matches.text("format") {
        "" => None,
        "json" => Some("{{json .}}".to_owned()),
        text => Some(text.to_owned()),
    };
    let template = template
        .map(|source| Template::named("version", &source))
        .transpose()
        .map_err(|error| Error::new(format!("template parsing error: {error}")).with_code(64))?;
    let answer = match cli.client() {
        Ok(client) => cli.block_on(client.server_version())?.map_err(Error::from),
        Err(error) => Err(error),
    };
    let (server, failure) = match answer {
        Ok(server) => (Some(server), None),
        Err(error) => (None, Some(error)),
    };
    let spoken = match cli.client() {
        Ok(client) => client.version_so_far(),
        Err(_) => onggi_client::NEWEST,
    };
    let out = match template {
        Some(template) => by_template(&template, &cli.settings.context, spoken, server.as_ref()),
        None => Ok(layout(&cli.settings.context, spoken, server)),
    };
    match out {
        Ok(text) => cli.print(&text)?,
        Err(error) => {
            cli.print("\n")?;
            return Err(error);
        }
    }
    failure.map_or(Ok(0), Err)
}

fn by_template(
    template: &Template,
    context: &str,
    spoken: onggi_client::Version,
    server: Option<&Version>,
) -> Result<String> {
    let client = json!({
        "Version": crate::VERSION,
        "ApiVersion": spoken.to_string(),
        "DefaultAPIVersion": onggi_client::NEWEST.to_string(),
        "GitCommit": crate::BUILD,
        "GoVersion": "",
        "Os": std::env::consts::OS,
        "Arch": architecture(),
        "BuildTime": "",
        "Context": context,
    });
    let mut server = server.cloned();
    for component in server.iter_mut().flat_map(|server| &mut server.components) {
        if let Some(time) = component
            .details
            .as_mut()
            .and_then(|map| map.get_mut("BuildTime"))
        {
            *time = built(time);
        }
    }
    let server = server.map(serde_json::to_value).transpose();
    let server = server
        .map_err(|error| Error::new(error.to_string()))?
        .map(reorder);
    let document = json!({"Client": client, "Server": server});
    let data = Data::typed("system.versionInfo", &document, &Documents);
    let text = template
        .render(&data)
        .map_err(|error| Error::new(error.to_string()))?;
    Ok(format!("{text}\n"))
}

/// The order of fields in which Docker's CLI writes the daemon's versions: the parts come second.
fn reorder(server: serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(mut fields) = server else {
        return server;
    };
    let mut ordered = serde_json::Map::new();
    const ORDER: [&str; 11] = [
        "Platform",
        "Components",
        "Version",
        "ApiVersion",
        "MinAPIVersion",
        "GitCommit",
        "GoVersion",
        "Os",
        "Arch",
        "KernelVersion",
        "Experimental",
    ];
    for key in ORDER {
        if let Some(value) = fields.remove(key) {
            ordered.insert(key.to_owned(), value);
        }
    }
    ordered.extend(fields);
    serde_json::Value::Object(ordered)
}

fn layout(context: &str, spoken: onggi_client::Version, server: Option<Version>) -> String {
    let newest = onggi_client::NEWEST;
    let api = if spoken == newest {
        spoken.to_string()
    } else {
        format!("{spoken} (downgraded from {newest})")
    };
    let mut out = String::from("Client:\n");
    for (label, value) in [
        ("Version", crate::VERSION.to_owned()),
        ("API version", api),
        ("Git commit", crate::BUILD.to_owned()),
        (
            "OS/Arch",
            format!("{}/{}", std::env::consts::OS, architecture()),
        ),
        ("Context", context.to_owned()),
    ] {
        out.push_str(&format!(" {label}:\t{value}\n"));
    }
    if let Some(server) = server {
        out.push_str(&block(server));
    }
    align(&out, LAYOUT)
}

fn block(server: Version) -> String {
    let mut out = match server.platform.name.as_str() {
        "" => "\nServer:\n".to_owned(),
        name => format!("\nServer: {name}\n"),
    };
    let components = if server.components.is_empty() {
        vec![engine(server)]
    } else {
        server.components
    };
    for component in components {
        let details = component.details.unwrap_or_default();
        let detail = |name: &str| details.get(name).map_or("", String::as_str);
        out.push_str(&format!(
            " {}:\n  Version:\t{}\n",
            component.name, component.version
        ));
        if component.name == "Engine" {
            let api = format!(
                "{} (minimum version {})",
                detail("ApiVersion"),
                detail("MinAPIVersion")
            );
            for (label, value) in [
                ("API version", api),
                ("Go version", detail("GoVersion").to_owned()),
                ("Git commit", detail("GitCommit").to_owned()),
                ("Built", built(detail("BuildTime"))),
                ("OS/Arch", format!("{}/{}", detail("Os"), detail("Arch"))),
                ("Experimental", detail("Experimental").to_owned()),
            ] {
                out.push_str(&format!("  {label}:\t{value}\n"));
            }
            continue;
        }
        for (label, value) in &details {
            out.push_str(&format!("  {label}:\t{value}\n"));
        }
    }
    out
}

/// What daemons before components told.
fn engine(server: Version) -> Component {
    let details = [
        ("ApiVersion", server.api_version),
        ("MinAPIVersion", server.min_api_version),
        ("GitCommit", server.git_commit),
        ("GoVersion", server.go_version),
        ("Os", server.os),
        ("Arch", server.arch),
        ("BuildTime", server.build_time),
        ("Experimental", server.experimental.to_string()),
    ];
    Component {
        name: "Engine".to_owned(),
        version: server.version,
        details: Some(details.map(|(key, value)| (key.to_owned(), value)).into()),
    }
}

/// A time of build as `Thu May  7 21:09:36 2026`; other texts stay.
fn built(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time
            .to_zoned(jiff::tz::TimeZone::UTC)
            .strftime("%a %b %e %H:%M:%S %Y")
            .to_string(),
        Err(_) => text.to_owned(),
    }
}

/// The name of this machine's architecture in Go.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
