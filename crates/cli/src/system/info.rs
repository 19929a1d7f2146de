//! `info`: the daemon, its machine and its configuration.

use std::fmt::Write as _;

use onggi_api::system::Info;
use onggi_gotmpl::{Data, Template};
use onggi_model::units::bytes_size;
use serde_json::json;

use super::inspect::FORMAT_HELP;
use super::kinds::InfoDocument;
use super::version::architecture;
use crate::Cli;
use crate::args::{Flag, Matches, value};
use crate::command::{Command, command};
use crate::error::{Error, Result};
use crate::plugin::{self, Plugin};

const FLAGS: &[Flag] = &[value(Some('f'), "format", "string", FORMAT_HELP)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Show what the daemon is and how it is configured",
    flags: &[FLAGS],
    common: Some(6),
    ..command(&["system info", "info"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let answer = match cli.client() {
        Ok(client) => cli.block_on(client.info())?.map_err(Error::from),
        Err(error) => Err(error),
    };
    match matches.text("format") {
        "" => {
            let (debug, context) = (cli.settings.debug, &cli.settings.context);
            let head = format!(
                "Client:\n Version:    {}\n Context:    {context}\n Debug Mode: {debug}\n",
                crate::VERSION
            );
            cli.print(&head)?;
            plugins(cli)?;
            cli.print("\nServer:\n")?;
            let info: Info = serde_json::from_value(answer?)
                .map_err(|error| Error::new(format!("cannot read the daemon's info: {error}")))?;
            cli.print(&layout(&info))?;
            for warning in info.warnings.iter().flatten() {
                cli.complain(warning)?;
            }
            Ok(0)
        }
        format => by_template(cli, format, answer),
    }
}

/// The plugins of this client; what is called like one but is none is warned of.
fn plugins(cli: &mut Cli) -> Result<()> {
    let mut lines = String::new();
    let mut warnings = Vec::new();
    for plugin in plugin::all(&cli.settings.directory, &cli.settings.file) {
        let path = plugin.path.display().to_string();
        match plugin.metadata() {
            Ok(metadata) => {
                let _ = writeln!(
                    lines,
                    "  {}: {} ({})",
                    plugin.name,
                    metadata.text("ShortDescription"),
                    metadata.text("Vendor")
                );
                if !metadata.text("Version").is_empty() {
                    let _ = writeln!(lines, "    Version:  {}", metadata.text("Version"));
                }
                let _ = writeln!(lines, "    Path:     {path}");
            }
            Err(error) => warnings.push(format!(
                "WARNING: Plugin {} is not valid: {}",
                crate::quote(&path),
                error.message
            )),
        }
    }
    if !lines.is_empty() {
        cli.print(&format!(" Plugins:\n{lines}"))?;
    }
    for warning in warnings {
        cli.complain(&warning)?;
    }
    Ok(())
}

fn by_template(cli: &mut Cli, format: &str, answer: Result<serde_json::Value>) -> Result<u8> {
    let source = if format == "json" {
        "{{json .}}"
    } else {
        format
    };
    let template = Template::parse(source)
        .map_err(|error| Error::new(format!("template parsing error: {error}")).with_code(64))?;
    let (mut info, failure) = match answer {
        Ok(info) => (info, None),
        Err(error) => (json!({}), Some(error)),
    };
    if let Some(fields) = info.as_object_mut() {
        fields.insert(
            "ClientInfo".to_owned(),
            json!({
                "Debug": cli.settings.debug,
                "Version": crate::VERSION,
                "DefaultAPIVersion": onggi_client::NEWEST.to_string(),
                "GitCommit": crate::BUILD,
                "GoVersion": "",
                "Os": std::env::consts::OS,
                "Arch": architecture(),
                "BuildTime": "",
                "Context": cli.settings.context,
                "Plugins": plugin::all(&cli.settings.directory, &cli.settings.file)
                    .iter()
                    .map(Plugin::document)
                    .collect::<Vec<_>>(),
                "Warnings": null,
            }),
        );
        if let Some(error) = &failure {
            fields.insert("ServerErrors".to_owned(), json!([error.message]));
        }
    }
    let data = Data::typed("system.dockerInfo", &info, &InfoDocument);
    match template.render(&data) {
        Ok(text) => cli.line(&text)?,
        Err(error) => {
            cli.print("\n")?;
            return Err(Error::new(error.to_string()));
        }
    }
    failure.map_or(Ok(0), Err)
}

/// The daemon's part, in Docker's layout.
fn layout(info: &Info) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, " {text}");
    };
    line(format!("Containers: {}", info.containers));
    line(format!(" Running: {}", info.containers_running));
    line(format!(" Paused: {}", info.containers_paused));
    line(format!(" Stopped: {}", info.containers_stopped));
    line(format!("Images: {}", info.images));
    some(&mut line, "Server Version", &info.server_version);
    some(&mut line, "Storage Driver", &info.driver);
    for [label, value] in info.driver_status.iter().flatten() {
        line(format!(" {label}: {value}"));
    }
    some(&mut line, "Logging Driver", &info.logging_driver);
    some(&mut line, "Cgroup Driver", &info.cgroup_driver);
    some(&mut line, "Cgroup Version", &info.cgroup_version);
    line("Plugins:".to_owned());
    let plugins = &info.plugins;
    for (label, names, always) in [
        ("Volume", &plugins.volume, true),
        ("Network", &plugins.network, true),
        ("Authorization", &plugins.authorization, false),
        ("Log", &plugins.log, true),
    ] {
        let names = names.clone().unwrap_or_default();
        if always || !names.is_empty() {
            line(format!(" {label}: {}", names.join(" ")));
        }
    }
    list(
        &mut line,
        "CDI spec directories",
        info.cdi_spec_dirs.as_ref(),
    );
    if let Some(devices) = info
        .discovered_devices
        .as_ref()
        .filter(|list| !list.is_empty())
    {
        line("Discovered Devices:".to_owned());
        for device in devices {
            line(format!(" {}: {}", device.source, device.id));
        }
    }
    line(format!("Swarm: {}", info.swarm.local_node_state));
    let runtimes: Vec<&str> = info.runtimes.keys().map(String::as_str).collect();
    line(format!("Runtimes: {}", runtimes.join(" ")));
    line(format!("Default Runtime: {}", info.default_runtime));
    line(format!("Init Binary: {}", info.init_binary));
    line(format!("containerd version: {}", info.containerd_commit.id));
    line(format!("runc version: {}", info.runc_commit.id));
    line(format!("init version: {}", info.init_commit.id));
    security(
        &mut line,
        info.security_options.as_deref().unwrap_or_default(),
    );
    some(&mut line, "Kernel Version", &info.kernel_version);
    some(&mut line, "Operating System", &info.operating_system);
    some(&mut line, "OSType", &info.os_type);
    some(&mut line, "Architecture", &info.architecture);
    line(format!("CPUs: {}", info.ncpu));
    line(format!(
        "Total Memory: {}",
        bytes_size(info.mem_total as f64)
    ));
    some(&mut line, "Name", &info.name);
    some(&mut line, "ID", &info.id);
    line(format!("Docker Root Dir: {}", info.docker_root_dir));
    line(format!("Debug Mode: {}", info.debug));
    if info.debug {
        line(format!(" File Descriptors: {}", info.nfd));
        line(format!(" Goroutines: {}", info.ngoroutines));
        line(format!(" System Time: {}", info.system_time));
        line(format!(" EventsListeners: {}", info.nevents_listener));
    }
    some(&mut line, "HTTP Proxy", &info.http_proxy);
    some(&mut line, "HTTPS Proxy", &info.https_proxy);
    some(&mut line, "No Proxy", &info.no_proxy);
    list(&mut line, "Labels", info.labels.as_ref());
    line(format!("Experimental: {}", info.experimental_build));
    if let Some(registries) = &info.registry_config {
        let insecure: Vec<String> = registries
            .index_configs
            .values()
            .filter(|index| !index.secure)
            .map(|index| index.name.clone())
            .chain(registries.insecure_registry_cidrs.iter().flatten().cloned())
            .collect();
        list(&mut line, "Insecure Registries", Some(&insecure));
        list(&mut line, "Registry Mirrors", registries.mirrors.as_ref());
    }
    line(format!(
        "Live Restore Enabled: {}",
        info.live_restore_enabled
    ));
    some(&mut line, "Product License", &info.product_license);
    if let Some(pools) = info
        .default_address_pools
        .as_ref()
        .filter(|list| !list.is_empty())
    {
        line("Default Address Pools:".to_owned());
        for pool in pools {
            line(format!("  Base: {}, Size: {}", pool.base, pool.size));
        }
    }
    if let Some(firewall) = &info.firewall_backend {
        line(format!("Firewall Backend: {}", firewall.driver));
        for [label, value] in firewall.info.iter().flatten() {
            line(format!("  {label}: {value}"));
        }
    }
    out.push('\n');
    out
}

/// A line for a text that is not empty.
fn some(line: &mut impl FnMut(String), label: &str, value: &str) {
    if !value.is_empty() {
        line(format!("{label}: {value}"));
    }
}

/// A block for a list that is not empty.
fn list(line: &mut impl FnMut(String), label: &str, values: Option<&Vec<String>>) {
    if let Some(values) = values.filter(|values| !values.is_empty()) {
        line(format!("{label}:"));
        for value in values {
            line(format!(" {value}"));
        }
    }
}

/// `name=seccomp,profile=default` as a name with its settings below.
fn security(line: &mut impl FnMut(String), options: &[String]) {
    if options.is_empty() {
        return;
    }
    line("Security Options:".to_owned());
    for option in options {
        let mut fields: Vec<(&str, &str)> = option
            .split(',')
            .map(|field| field.split_once('=').unwrap_or(("name", field)))
            .collect();
        if let Some(at) = fields.iter().position(|(key, _)| *key == "name") {
            line(format!(" {}", fields.remove(at).1));
        }
        for (key, value) in fields {
            let label = if key == "profile" { "Profile" } else { key };
            line(format!("  {label}: {value}"));
        }
    }
}
