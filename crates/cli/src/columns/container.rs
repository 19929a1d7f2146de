//! Columns of `ps`. To add one: an entry here; it gets a header, a field for templates and a key in JSON.

use onggi_api::container::Summary;
use onggi_api::image::Platform;
use onggi_model::{ImageRef, units};

use super::ports;
use crate::format::rows::Options;
use crate::format::{Column, Kind, column};
use crate::quote;
use crate::text::{ago, ellipsis, local_time, short_id};

/// All columns.
pub(crate) const COLUMNS: &[Column<Summary>] = &[
    column("ID", "CONTAINER ID", |c, o| id(&c.id, o).into()),
    column("Names", "NAMES", |c, o| names(c, o).into()),
    column("Image", "IMAGE", |c, o| image(c, o).into()),
    column("Command", "COMMAND", |c, o| {
        quote(&if o.no_trunc {
            c.command.clone()
        } else {
            ellipsis(&c.command, 20)
        })
        .into()
    }),
    column("CreatedAt", "CREATED AT", |c, _| {
        local_time(c.created).into()
    }),
    column("RunningFor", "CREATED", |c, _| ago(c.created).into()),
    column("Ports", "PORTS", |c, _| ports::display(&c.ports).into()),
    column("State", "STATE", |c, _| c.state.clone().into()),
    column("Status", "STATUS", |c, _| c.status.clone().into()),
    column("Size", "SIZE", |c, _| size(c).into()),
    column("Labels", "LABELS", |c, _| {
        c.labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>()
            .join(",")
            .into()
    }),
    Column {
        name: "Label",
        header: "",
        kind: Kind::Method(|c, key| c.labels.get(key).cloned().unwrap_or_default()),
    },
    column("Mounts", "MOUNTS", |c, o| mounts(c, o).into()),
    column("LocalVolumes", "LOCAL VOLUMES", |c, _| {
        c.mounts
            .iter()
            .filter(|mount| mount.driver == "local")
            .count()
            .to_string()
            .into()
    }),
    column("Networks", "NETWORKS", |c, _| {
        c.network_settings
            .networks
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(",")
            .into()
    }),
    Column {
        name: "Platform",
        header: "PLATFORM",
        kind: Kind::Shown(
            |c, _| {
                platform(c)
                    .and_then(|p| serde_json::to_value(p).ok())
                    .unwrap_or_default()
            },
            |c| platform(c).map(words).unwrap_or_default(),
        ),
    },
];

/// The table of `ps`.
pub(crate) const DEFAULT: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

/// What `--format raw` stands for.
pub(crate) const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{.State}}\nstatus: {{.Status}}\nnames: {{.Names}}\nlabels: {{.Labels}}\nports: {{.Ports}}\n";

fn platform(container: &Summary) -> Option<&Platform> {
    container
        .image_manifest_descriptor
        .as_ref()?
        .platform
        .as_ref()
}

/// `linux/arm64/v8`.
fn words(platform: &Platform) -> String {
    let parts = [&platform.os, &platform.architecture, &platform.variant];
    let parts: Vec<&str> = parts
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("/")
}

fn id(id: &str, options: &Options) -> String {
    if options.no_trunc {
        id.to_owned()
    } else {
        short_id(id).to_owned()
    }
}

/// Names without the leading slash; names that other containers' links give are left out, unless all is wanted.
fn names(container: &Summary, options: &Options) -> String {
    container
        .names
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name))
        .filter(|name| options.no_trunc || !name.contains('/'))
        .collect::<Vec<_>>()
        .join(",")
}

fn image(container: &Summary, options: &Options) -> String {
    if container.image.is_empty() {
        return "<no image>".to_owned();
    }
    if options.no_trunc {
        return container.image.clone();
    }
    let short = short_id(&container.image_id);
    if short == short_id(&container.image) {
        return short.to_owned();
    }
    match ImageRef::parse_untagged(&container.image) {
        Ok(reference) if reference.digest().is_some() => match reference.tag() {
            Some(tag) => format!("{}:{tag}", reference.familiar_name()),
            None => container.image.clone(),
        },
        _ => container.image.clone(),
    }
}

fn size(container: &Summary) -> String {
    let own = units::human_size_with_precision(container.size_rw as f64, 3);
    if container.size_root_fs > 0 {
        let all = units::human_size_with_precision(container.size_root_fs as f64, 3);
        return format!("{own} (virtual {all})");
    }
    own
}

fn mounts(container: &Summary, options: &Options) -> String {
    container
        .mounts
        .iter()
        .map(|mount| {
            if mount.name.is_empty() {
                &mount.source
            } else {
                &mount.name
            }
        })
        .map(|name| {
            if options.no_trunc {
                name.clone()
            } else {
                ellipsis(name, 15)
            }
        })
        .collect::<Vec<_>>()
        .join(",")
}
