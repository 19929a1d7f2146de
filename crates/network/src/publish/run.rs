//! Requests for ports as runs: what the API names port by port, `-p 10000-49999:10000-49999`, is one run here.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use onggi_model::Port;

use crate::endpoint::PublishRequest;

/// Neighbouring ports that are wanted at neighbouring ports of the host, or one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The container's first port.
    pub(super) port: Port,
    /// The host's address.
    pub(super) ip: Option<IpAddr>,
    /// The host's first port, or first and last of those to choose from; any if absent.
    pub(super) host: Option<(u16, u16)>,
    /// How many ports; one unless the host's are given.
    pub(super) length: u16,
}

impl Run {
    /// The host's ports, if they are given.
    pub(super) fn fixed(&self) -> Option<RangeInclusive<u16>> {
        let (first, last) = self.host?;
        let end = first.saturating_add(self.length.saturating_sub(1));
        (first == last).then_some(first..=end)
    }

    /// Whether the next request goes on where this run ends.
    fn continues(&self, next: &PublishRequest) -> bool {
        let (Some(ports), Some((first, last))) = (self.fixed(), next.host.ports) else {
            return false;
        };
        first == last
            && next.host.ip == self.ip
            && next.port.protocol == self.port.protocol
            && Some(next.port.number) == self.port.number.checked_add(self.length)
            && Some(first) == ports.end().checked_add(1)
    }
}

/// The runs of these requests: those at given ports of the host first, so that no other takes them.
pub(super) fn runs(requests: &[PublishRequest]) -> Vec<Run> {
    let is_fixed = |request: &&PublishRequest| {
        request
            .host
            .ports
            .is_some_and(|(first, last)| first == last)
    };
    let mut fixed: Vec<&PublishRequest> = requests.iter().filter(is_fixed).collect();
    // Stable: what is wanted twice stays in its order.
    fixed.sort_by_key(|request| (request.port.protocol, request.host.ip, request.port.number));
    let mut runs: Vec<Run> = Vec::new();
    for request in fixed {
        match runs.last_mut() {
            Some(run) if run.continues(request) => run.length += request.length,
            _ => runs.push(Run {
                port: request.port,
                ip: request.host.ip,
                host: request.host.ports,
                length: request.length,
            }),
        }
    }
    for request in requests.iter().filter(|request| !is_fixed(request)) {
        // Each finds a port of its own.
        runs.extend((0..request.length).map(|by| Run {
            port: Port::new(
                request.port.number.saturating_add(by),
                request.port.protocol,
            ),
            ip: request.host.ip,
            host: request.host.ports,
            length: 1,
        }));
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (u16, Option<(u16, u16)>, u16);

    fn of(texts: &[&str]) -> Vec<Seen> {
        let requests: Vec<PublishRequest> = texts
            .iter()
            .flat_map(|text| onggi_model::ports::parse_publish(text).unwrap())
            .map(|(port, host)| PublishRequest {
                port,
                host,
                length: 1,
            })
            .collect();
        let runs = runs(&requests);
        runs.iter()
            .map(|run| (run.port.number, run.host, run.length))
            .collect()
    }

    #[test]
    fn neighbours_are_one_run() {
        assert_eq!(
            of(&["10000-49999:10000-49999/udp"]),
            [(10_000, Some((10_000, 10_000)), 40_000)]
        );
        assert_eq!(of(&["1-65535:1-65535"]), [(1, Some((1, 1)), 65_535)]);
        // In the order of a map of texts.
        assert_eq!(
            of(&["10:10", "11:11", "8:8", "9:9"]),
            [(8, Some((8, 8)), 4)]
        );
        assert_eq!(of(&["8000-8001:80-81"]), [(80, Some((8000, 8000)), 2)]);
    }

    #[test]
    fn runs_of_requests_stay_runs() {
        let port = Port::parse("20000/udp").unwrap();
        let run = |host: &str, length: u16| PublishRequest {
            length,
            ..PublishRequest::new(port, "", host).unwrap()
        };
        let seen =
            |all: &[PublishRequest]| runs(all).iter().map(|run| run.length).collect::<Vec<_>>();
        assert_eq!(seen(&[run("20000", 40_000)]), [40_000]);
        assert_eq!(seen(&[run("", 3), run("7", 5)]), [5, 1, 1, 1]);
    }

    #[test]
    fn others_are_not() {
        assert_eq!(of(&["80", "81"]), [(80, None, 1), (81, None, 1)]);
        assert_eq!(of(&["8000-8005:80"]), [(80, Some((8000, 8005)), 1)]);
        assert_eq!(of(&["80:80", "81:81/udp"]).len(), 2);
        assert_eq!(of(&["80:80", "127.0.0.1:81:81"]).len(), 2);
        assert_eq!(of(&["80:80", "82:81"]).len(), 2);
        assert_eq!(of(&["80:80", "82:82"]).len(), 2);
        assert_eq!(of(&["80", "81:81"])[0].0, 81, "given ports come first");
    }
}
