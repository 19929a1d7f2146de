//! Published ports on `[::1]`: what the monitor of a container is to pass on from there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use onggi_model::Protocol;
use onggi_monitor::protocol::{Forward, ToMonitor};
use onggi_network::{Endpoint, Published};
use tracing::warn;

use super::{Container, Record};
use crate::Engine;
use crate::error::Result;
use crate::task::Task;

impl Engine {
    /// Tells the monitor, which forgets what it was told before. `endpoints` are those of the container.
    pub(crate) async fn tell_loopback(
        &self,
        record: &Record,
        endpoints: &[Endpoint],
        task: &Task,
    ) -> Result<()> {
        if !task.listens() {
            return Ok(());
        }
        let ports = forwards(endpoints, |one| names_no_address(record, one));
        task.send(&ToMonitor::Listen { ports }, Vec::new()).await
    }

    /// As [`Engine::tell_loopback`], while the container runs and something of its networks has changed.
    pub(crate) async fn renew_loopback(&self, container: &Container) {
        let Some(task) = container.task() else { return };
        let record = container.record();
        if let Err(fault) = self.tell_loopback(&record, &record.endpoints, &task).await {
            warn!(container = %container.id, "{fault}");
        }
    }
}

/// What the monitor of a container is to pass on.
pub(crate) fn of(record: &Record) -> Vec<Forward> {
    forwards(&record.endpoints, |one| names_no_address(record, one))
}

/// Whether a port is published without saying on which address.
pub(super) fn names_no_address(record: &Record, one: &Published) -> bool {
    let host = &record.host_config;
    let bindings = host.port_bindings.as_ref();
    // By its number, or by none or a range that it was chosen from.
    let is_meant = |text: &str| text.parse().map_or(true, |port: u16| port == one.host_port);
    match bindings.and_then(|all| all.get(&one.port.to_string())) {
        Some(bindings) => bindings
            .into_iter()
            .flatten()
            .any(|binding| binding.host_ip.is_empty() && is_meant(&binding.host_port)),
        None => host.publish_all_ports,
    }
}

/// What comes to `[::1]` goes to the container's address of IPv6; where it has none, and no address of the host was named,
/// to that of IPv4.
fn forwards(endpoints: &[Endpoint], names_no_address: impl Fn(&Published) -> bool) -> Vec<Forward> {
    let mut all = Vec::new();
    for endpoint in endpoints {
        let target = |one: &&Published| match one.host_ip {
            _ if one.host_port == 0 || one.port.protocol == Protocol::Sctp => None,
            IpAddr::V6(Ipv6Addr::UNSPECIFIED | Ipv6Addr::LOCALHOST) => {
                endpoint.address_v6().map(IpAddr::V6)
            }
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
                if endpoint.ipv6.is_none() && names_no_address(one) =>
            {
                endpoint.address_v4().map(IpAddr::V4)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        };
        for one in &endpoint.ports {
            if let Some(ip) = target(&one) {
                all.push(Forward {
                    protocol: one.port.protocol,
                    port: one.host_port,
                    length: one.length,
                    to: SocketAddr::new(ip, one.port.number),
                });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(ipv6: Option<&str>) -> Endpoint {
        let id = "ab".repeat(32);
        let published = |port: &str, ip: &str, host: u16| serde_json::json!({"port": port, "host_ip": ip, "host_port": host, "length": 2});
        serde_json::from_value(serde_json::json!({
            "container": id, "network": "n", "network_id": "n", "endpoint_id": id, "mac": "02:42:ac:11:00:02",
            "ipv4": "172.17.0.2/16", "ipv6": ipv6, "ports": [
                published("80/tcp", "0.0.0.0", 8080), published("81/udp", "127.0.0.1", 8081),
                published("80/tcp", "::", 8080), published("82/udp", "::1", 8082), published("83/sctp", "::", 8083),
                published("84/tcp", "fd00::9", 8084), published("85/tcp", "::", 0),
            ],
        }))
        .unwrap()
    }

    fn ports(endpoint: &Endpoint, no_address: bool) -> Vec<(u16, String)> {
        let all = forwards(std::slice::from_ref(endpoint), |_| no_address);
        let all = all.iter().map(|one| (one.port, one.to.to_string()));
        all.collect()
    }

    #[test]
    fn loopback_leads_to_the_family_that_is_there() {
        let dual = endpoint(Some("fd00::2/64"));
        let both = [
            (8080, "[fd00::2]:80".to_owned()),
            (8082, "[fd00::2]:82".to_owned()),
        ];
        assert_eq!(ports(&dual, true), both);
        assert_eq!(ports(&dual, false), both);
        let mut old = endpoint(None);
        old.ports.retain(|one| one.host_ip.is_ipv4());
        assert_eq!(ports(&old, true), [(8080, "172.17.0.2:80".to_owned())]);
        assert_eq!(ports(&old, false), []);
    }
}
