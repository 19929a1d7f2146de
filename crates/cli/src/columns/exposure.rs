//! Columns of `network inspect --exposure` and `port --exposure`.

use onggi_api::network::{ExposedPort, ExposedTo};

use crate::format::{Column, Kind, column};
use crate::text::short_id;

/// All columns.
pub(crate) const COLUMNS: &[Column<ExposedPort>] = &[
    column("ContainerID", "CONTAINER ID", |p, o| match o.no_trunc {
        true => p.container_id.clone().into(),
        false => short_id(&p.container_id).into(),
    }),
    column("Name", "CONTAINER", |p, _| p.name.clone().into()),
    column("Network", "NETWORK", |p, _| p.network.clone().into()),
    column("Port", "PORT", |p, _| p.port.clone().into()),
    column("At", "AT", |p, _| p.at.clone().into()),
    column("Host", "HOST", |p, _| p.host.clone().into()),
    column("SameNetwork", "SAME NETWORK", |p, _| {
        p.same_network.clone().into()
    }),
    Column {
        name: "OtherNetworks",
        header: "OTHER NETWORKS",
        kind: Kind::Shown(
            |p, _| serde_json::to_value(&p.other_networks).unwrap_or_default(),
            other_networks,
        ),
    },
    Column {
        name: "Outside",
        header: "OUTSIDE",
        kind: Kind::Shown(
            |p, _| serde_json::to_value(&p.outside).unwrap_or_default(),
            |p| outside(&p.outside),
        ),
    },
    Column {
        name: "Why",
        header: "WHY",
        kind: Kind::Shown(
            |p, _| serde_json::to_value(&p.why).unwrap_or_default(),
            |p| p.why.join("; "),
        ),
    },
];

/// The table.
pub(crate) const DEFAULT: &str = "{{.Name}}\t{{.Network}}\t{{.Port}}\t{{.At}}\t{{.Host}}\t{{.SameNetwork}}\t{{.OtherNetworks}}\t{{.Outside}}";

fn other_networks(port: &ExposedPort) -> String {
    let all = port.other_networks.iter();
    let all = all.map(|(name, reach)| limited(name, reach));
    or_no(all.collect())
}

/// Who it is, in a few words: everybody stands for those that are part of it.
fn outside(all: &[ExposedTo]) -> String {
    let is_any = |one: &ExposedTo| one.net.ends_with("/0");
    let any = all.iter().find(|one| is_any(one) && one.reach == "yes");
    if any.is_some() {
        return "anyone".to_owned();
    }
    let words = all.iter().map(|one| match is_any(one) {
        true => limited("anyone", &one.reach),
        false => limited(&format!("{} ({})", one.net, one.link), &one.reach),
    });
    or_no(words.collect())
}

fn limited(who: &str, reach: &str) -> String {
    match reach {
        "yes" => who.to_owned(),
        other => format!("{other} of {who}"),
    }
}

fn or_no(words: Vec<String>) -> String {
    match words.is_empty() {
        true => "no".to_owned(),
        false => words.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(net: &str, reach: &str) -> ExposedTo {
        ExposedTo {
            net: net.to_owned(),
            link: "eth0".to_owned(),
            reach: reach.to_owned(),
            ..ExposedTo::default()
        }
    }

    #[test]
    fn those_outside_in_a_few_words() {
        assert_eq!(outside(&[]), "no");
        let near = to("192.0.2.0/24", "yes");
        assert_eq!(outside(std::slice::from_ref(&near)), "192.0.2.0/24 (eth0)");
        assert_eq!(outside(&[near.clone(), to("0.0.0.0/0", "yes")]), "anyone");
        assert_eq!(
            outside(&[near, to("::/0", "some")]),
            "192.0.2.0/24 (eth0), some of anyone"
        );
    }
}
