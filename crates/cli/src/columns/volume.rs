//! Columns of `volume ls`.

use std::cmp::Ordering;

use onggi_api::volume::Volume;
use onggi_model::units;

use crate::format::{Column, Kind, column};

/// All columns.
pub(crate) const COLUMNS: &[Column<Volume>] = &[
    column("Name", "VOLUME NAME", |v, _| v.name.clone().into()),
    column("Driver", "DRIVER", |v, _| v.driver.clone().into()),
    column("Scope", "SCOPE", |v, _| v.scope.clone().into()),
    // These three are of volumes of a swarm.
    column("Availability", "AVAILABILITY", |_, _| "N/A".into()),
    column("Group", "GROUP", |_, _| "N/A".into()),
    column("Status", "STATUS", |_, _| "N/A".into()),
    column("Mountpoint", "MOUNTPOINT", |v, _| {
        v.mountpoint.clone().into()
    }),
    column("Labels", "LABELS", |v, _| {
        let labels = v.labels.iter().flatten();
        labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(",")
            .into()
    }),
    Column {
        name: "Label",
        header: "",
        kind: Kind::Method(|v, key| {
            let labels = v.labels.as_ref();
            labels.and_then(|l| l.get(key)).cloned().unwrap_or_default()
        }),
    },
    column("Links", "LINKS", |v, _| match &v.usage_data {
        Some(usage) => usage.ref_count.to_string().into(),
        None => "N/A".into(),
    }),
    column("Size", "SIZE", |v, _| match &v.usage_data {
        Some(usage) => units::human_size(usage.size as f64).into(),
        None => "N/A".into(),
    }),
];

/// The table of `volume ls`.
pub(crate) const DEFAULT: &str = "{{.Driver}}\t{{.Name}}";

/// What `--format raw` stands for.
pub(crate) const RAW: &str = "name: {{.Name}}\ndriver: {{.Driver}}\n";

/// `v2` before `v10`: digits count as numbers.
pub(crate) fn by_name(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (a, b) {
            ([], _) | (_, []) => return a.len().cmp(&b.len()),
            ([x, ..], [y, ..]) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (m, n) = (digits(a), digits(b));
                let number = |text: &[u8]| {
                    let zeros = text.iter().take_while(|d| **d == b'0').count();
                    text[zeros..].to_vec()
                };
                let (x, y) = (number(&a[..m]), number(&b[..n]));
                // More digits are more; fewer leading zeros come first.
                let order = x.len().cmp(&y.len()).then(x.cmp(&y)).then(m.cmp(&n));
                if order.is_ne() {
                    return order;
                }
                (a, b) = (&a[m..], &b[n..]);
            }
            ([x, ..], [y, ..]) if x != y => return x.cmp(y),
            _ => (a, b) = (&a[1..], &b[1..]),
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::by_name;

    #[test]
    fn names_are_sorted_for_people() {
        let mut names = ["v10", "v2", "a", "v2b", "v02", "b1", "v"];
        names.sort_by(|a, b| by_name(a, b));
        assert_eq!(names, ["a", "b1", "v", "v2", "v2b", "v02", "v10"]);
    }
}
