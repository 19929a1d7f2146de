//! Columns of `system df`: by kind, and what its long form shows of volumes and the cache of builds.

use onggi_model::units;
use serde_json::Value;

use crate::format::{Column, column};
use crate::text::{ago, short_id};

/// What one kind of thing takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) total: i64,
    pub(crate) active: i64,
    pub(crate) size: i64,
    pub(crate) reclaimable: i64,
    /// Whether the share of what could be freed is told.
    pub(crate) share: bool,
}

/// All columns of the short form.
pub(crate) const KINDS: &[Column<Kind>] = &[
    column("Type", "TYPE", |kind, _| kind.name.into()),
    column("TotalCount", "TOTAL", |kind, _| {
        kind.total.to_string().into()
    }),
    column("Active", "ACTIVE", |kind, _| kind.active.to_string().into()),
    column("Size", "SIZE", |kind, _| size(kind.size).into()),
    column("Reclaimable", "RECLAIMABLE", |kind, _| {
        let free = size(kind.reclaimable);
        if kind.share && kind.size > 0 {
            let share = kind.reclaimable.saturating_mul(100) / kind.size;
            return format!("{free} ({share}%)").into();
        }
        free.into()
    }),
];

/// The table of the short form.
pub(crate) const KINDS_DEFAULT: &str =
    "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";

/// Images in the long form.
pub(crate) const IMAGES_DEFAULT: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";

/// Containers in the long form.
pub(crate) const CONTAINERS_DEFAULT: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";

/// Volumes in the long form.
pub(crate) const VOLUMES: &[Column<Value>] = &[
    column("Availability", "AVAILABILITY", |_, _| "N/A".into()),
    column("Driver", "DRIVER", |volume, _| text(volume, "Driver")),
    column("Group", "GROUP", |_, _| "N/A".into()),
    column("Labels", "LABELS", |volume, _| {
        let labels = volume["Labels"].as_object().into_iter().flatten();
        labels
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(",")
            .into()
    }),
    column("Links", "LINKS", |volume, _| {
        known(&volume["UsageData"]["RefCount"], |count| count.to_string())
    }),
    column("Mountpoint", "MOUNTPOINT", |volume, _| {
        text(volume, "Mountpoint")
    }),
    column("Name", "VOLUME NAME", |volume, _| text(volume, "Name")),
    column("Scope", "SCOPE", |volume, _| text(volume, "Scope")),
    column("Size", "SIZE", |volume, _| {
        known(&volume["UsageData"]["Size"], size)
    }),
    column("Status", "STATUS", |_, _| "N/A".into()),
];

/// The table of volumes.
pub(crate) const VOLUMES_DEFAULT: &str = "{{.Name}}\t{{.Links}}\t{{.Size}}";

/// The cache of builds in the long form.
pub(crate) const CACHE: &[Column<Value>] = &[
    column("ID", "CACHE ID", |record, o| {
        let id = record["ID"].as_str().unwrap_or_default();
        let id = if o.no_trunc { id } else { short_id(id) };
        if record["InUse"] == true {
            return format!("{id}*").into();
        }
        id.into()
    }),
    column("Parent", "PARENT", |record, o| {
        let parent = record["Parent"].as_str().unwrap_or_default();
        if o.no_trunc { parent } else { short_id(parent) }.into()
    }),
    column("CacheType", "CACHE TYPE", |record, _| text(record, "Type")),
    column("Description", "DESCRIPTION", |record, _| {
        text(record, "Description")
    }),
    column("Size", "SIZE", |record, _| known(&record["Size"], size)),
    column("CreatedAt", "CREATED AT", |record, _| {
        text(record, "CreatedAt")
    }),
    column("CreatedSince", "CREATED", |record, _| {
        since(record, "CreatedAt")
    }),
    column("LastUsedAt", "LAST USED AT", |record, _| {
        text(record, "LastUsedAt")
    }),
    column("LastUsedSince", "LAST USED", |record, _| {
        since(record, "LastUsedAt")
    }),
    column("UsageCount", "USAGE", |record, _| {
        record["UsageCount"]
            .as_i64()
            .unwrap_or(0)
            .to_string()
            .into()
    }),
    column("InUse", "IN USE", |record, _| on(record, "InUse")),
    column("Shared", "SHARED", |record, _| on(record, "Shared")),
];

/// The table of the cache.
pub(crate) const CACHE_DEFAULT: &str = "{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}";

fn size(bytes: i64) -> String {
    units::human_size(bytes as f64)
}

fn text(object: &Value, field: &str) -> Value {
    object[field].as_str().unwrap_or_default().into()
}

fn on(object: &Value, field: &str) -> Value {
    object[field].as_bool().unwrap_or(false).to_string().into()
}

/// A number as text; `N/A` for -1 and for nothing.
fn known(number: &Value, show: impl Fn(i64) -> String) -> Value {
    match number.as_i64() {
        Some(number) if number >= 0 => show(number).into(),
        _ => "N/A".into(),
    }
}

fn since(record: &Value, field: &str) -> Value {
    let time = record[field].as_str().unwrap_or_default();
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => ago(time.as_second()).into(),
        Err(_) => "".into(),
    }
}
