//! Columns of `network ls`.

use onggi_api::network::Summary;

use crate::format::{Column, Kind, column};
use crate::text::{go_time, short_id};

/// All columns.
pub(crate) const COLUMNS: &[Column<Summary>] = &[
    column("ID", "NETWORK ID", |n, o| match o.no_trunc {
        true => n.network.id.clone().into(),
        false => short_id(&n.network.id).into(),
    }),
    column("Name", "NAME", |n, _| n.network.name.clone().into()),
    column("Driver", "DRIVER", |n, _| n.network.driver.clone().into()),
    column("Scope", "SCOPE", |n, _| n.network.scope.clone().into()),
    column("IPv4", "IPV4", |n, _| {
        n.network.enable_ipv4.to_string().into()
    }),
    column("IPv6", "IPV6", |n, _| {
        n.network.enable_ipv6.to_string().into()
    }),
    column("Internal", "INTERNAL", |n, _| {
        n.network.internal.to_string().into()
    }),
    column("Labels", "LABELS", |n, _| {
        let labels = n.network.labels.iter();
        labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(",")
            .into()
    }),
    Column {
        name: "Label",
        header: "",
        kind: Kind::Method(|n, key| n.network.labels.get(key).cloned().unwrap_or_default()),
    },
    column("CreatedAt", "CREATED AT", |n, _| {
        go_time(&n.network.created).into()
    }),
];

/// The table of `network ls`.
pub(crate) const DEFAULT: &str = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

/// What `--format raw` stands for.
pub(crate) const RAW: &str =
    "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n";
