//! Ports for people: `0.0.0.0:8080->80/tcp, 443/tcp`, with runs of ports joined.

use std::collections::BTreeMap;

use onggi_api::container::{PortList, PortRun};

/// A run of ports that follow each other.
#[derive(Clone, Copy)]
struct Run {
    first: u16,
    last: u16,
}

/// The ports of a container in one line.
pub(crate) fn display(ports: &PortList) -> String {
    let is_moved = |run: &&PortRun| {
        !run.first.ip.is_empty() && run.first.public_port != run.first.private_port
    };
    let moved = ports.runs().filter(is_moved).flat_map(PortRun::each);
    let mut moved: Vec<_> = moved.collect();
    moved.sort_by(|a, b| {
        (a.private_port, &a.ip, a.public_port, &a.kind).cmp(&(
            b.private_port,
            &b.ip,
            b.public_port,
            &b.kind,
        ))
    });
    let moved = moved.iter().map(|port| {
        let host = address(&port.ip, &port.public_port.to_string());
        format!("{host}->{}/{}", port.private_port, port.kind)
    });
    let mut others: Vec<&PortRun> = ports.runs().filter(|run| !is_moved(run)).collect();
    others.sort_by(|a, b| {
        let (a, b) = (&a.first, &b.first);
        (a.private_port, &a.ip, a.public_port, &a.kind).cmp(&(
            b.private_port,
            &b.ip,
            b.public_port,
            &b.kind,
        ))
    });
    let mut shown = Vec::new();
    // Open runs, by address and protocol, in the order they were opened.
    let mut runs: BTreeMap<(usize, String, String), Run> = BTreeMap::new();
    for PortRun {
        first: port,
        length,
    } in others
    {
        let number = port.private_port;
        let last = number.saturating_add(length - 1);
        let open = runs
            .iter()
            .find(|((_, ip, kind), _)| *ip == port.ip && *kind == port.kind);
        let key = open.map(|(key, _)| key.clone());
        let key = key.unwrap_or_else(|| (runs.len(), port.ip.clone(), port.kind.clone()));
        match runs.get_mut(&key) {
            Some(run) if run.last.checked_add(1) == Some(number) => run.last = last,
            Some(run) => {
                shown.push(text(&key, *run));
                *run = Run {
                    first: number,
                    last,
                };
            }
            None => {
                runs.insert(
                    key,
                    Run {
                        first: number,
                        last,
                    },
                );
            }
        }
    }
    shown.extend(runs.iter().map(|(key, run)| text(key, *run)));
    shown.extend(moved);
    shown.join(", ")
}

fn text((_, ip, kind): &(usize, String, String), run: Run) -> String {
    let range = if run.first == run.last {
        run.first.to_string()
    } else {
        format!("{}-{}", run.first, run.last)
    };
    if ip.is_empty() {
        format!("{range}/{kind}")
    } else {
        format!("{}->{range}/{kind}", address(ip, &range))
    }
}

/// `ip:port`, with brackets around addresses that have colons.
pub(crate) fn address(ip: &str, port: &str) -> String {
    if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onggi_api::container::PortSummary;

    fn port(ip: &str, private_port: u16, public_port: u16) -> PortSummary {
        PortSummary {
            ip: ip.to_owned(),
            private_port,
            public_port,
            kind: "tcp".to_owned(),
        }
    }

    #[test]
    fn runs_are_joined() {
        for (ports, text) in [
            (vec![], ""),
            (vec![port("", 80, 0)], "80/tcp"),
            (
                vec![port("", 81, 0), port("", 80, 0), port("", 90, 0)],
                "80-81/tcp, 90/tcp",
            ),
            (
                vec![port("0.0.0.0", 80, 8080), port("::", 80, 8080)],
                "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
            ),
            (
                vec![
                    port("0.0.0.0", 80, 80),
                    port("0.0.0.0", 81, 81),
                    port("", 443, 0),
                ],
                "0.0.0.0:80-81->80-81/tcp, 443/tcp",
            ),
        ] {
            let runs = ports.into_iter().map(|first| PortRun { first, length: 1 });
            assert_eq!(display(&runs.collect()), text);
        }
    }
}
